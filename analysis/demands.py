"""Renders what a claim demands: its thresholds, in the words of the table of claims."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from analysis.registry import load_constant, load_part
from analysis.stored_names import describe_column, describe_key, describe_settings

BOUNDS = ("at_least", "at_most")
"""Thresholds that are named last."""
JUDGED_DEFAULTS = {"column": "risk", "at_least": 1.0}
"""Defaults of a predicate that are part of what is judged, and so are named, too."""
TEMPLATES = {
    "method": "{}",
    "over": "{}",
    "under": "over {}",
    "eps": "ε = {}",
    "from_L": "from L = {}",
    "L": "L = {}",
    "d": "d = {}",
    "n": "n = {}",
    "over_d": "over d = {}",
    "from_d": "from d = {}",
    "to_d": "to d = {}",
    "from_n": "from n = {}",
    "risk": "risk at most {}",
    "gamma": "γ = {}",
    "alpha": "α = ({})",
    "widths": "widths ({})",
    "factors": "by factors {}",
    "kind": "theory for {}",
    "by": "at equal {}",
}
COLUMNS = {"column": "{}", "with_column": "over {}", "columns": "{}"}
"""Thresholds that name stored columns."""
EVALUATIONS = {
    "first": "at the first evaluation",
    "last": "at the last evaluation",
    "largest": "largest during training",
    "smallest": "smallest during training",
}
"""Values of ``at``."""
WHERES = {"over_where": "over", "under_where": "under"}
"""Thresholds with the settings of a method → the threshold that names the method."""


def describe_demand(thresholds: Mapping[str, Any], predicate: str | None = None) -> str:
    """What ``predicate`` measures, and the thresholds.

    For instance ``ratio of n*: refit over staged, ε = 0.01, at least 1.5``.
    """
    if "thresholds" in thresholds:
        return _describe_part(thresholds)
    quantity = ""
    values = dict(thresholds)
    if predicate is not None:
        quantity = load_constant("predicates", predicate, "QUANTITY", "")
        values = _order_thresholds(thresholds, predicate)
    values = _join_range_of_d(_join_methods_and_settings(values))
    parts = [
        _describe_threshold(key, values[key])
        for key in sorted(values, key=lambda name: name in BOUNDS)
    ]
    demand = ", ".join(parts).replace(", over ", " over ")
    return ": ".join(filter(None, (quantity, demand)))


def _describe_part(thresholds: Mapping[str, Any]) -> str:
    """The demand of a predicate inside another, and of what part of the study it speaks."""
    demand = describe_demand(thresholds["thresholds"], thresholds.get("predicate"))
    parts = [describe_settings(thresholds.get("where", {}))]
    if "feature" in thresholds:
        feature = str(thresholds["feature"]).replace("/", " ")
        parts.append(f"n* at which the {feature} is found, ε = 1 − overlap")
    return f"{demand} ({', '.join(filter(None, parts))})"


def _join_methods_and_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The thresholds with the settings of each method behind its name, or once for both."""
    merged = {key: value for key, value in values.items() if key not in WHERES}
    settings = {key: values[key] for key in WHERES if key in values}
    if len(settings) == len(WHERES) and values["over_where"] == values["under_where"]:
        merged["under"] = f"{values['under']} (both: {describe_settings(values['over_where'])})"
        return merged
    for key, where in settings.items():
        method = WHERES[key]
        merged[method] = f"{values[method]} ({describe_settings(where)})"
    return merged


def _join_range_of_d(values: Mapping[str, Any]) -> dict[str, Any]:
    """The thresholds with one d where it is both the smallest and the largest."""
    if values.get("from_d") is None or values["from_d"] != values.get("to_d"):
        return dict(values)
    rest = {key: value for key, value in values.items() if key != "to_d"}
    return {"d" if key == "from_d" else key: value for key, value in rest.items()}


def _order_thresholds(thresholds: Mapping[str, Any], predicate: str) -> dict[str, Any]:
    """The thresholds in the order of the predicate's parameters, with :data:`JUDGED_DEFAULTS`."""
    parameters = inspect.signature(load_part("predicates", predicate, "claim")).parameters
    values = {}
    for name, parameter in parameters.items():
        if name in thresholds:
            values[name] = thresholds[name]
        elif name in JUDGED_DEFAULTS and parameter.default in JUDGED_DEFAULTS.values():
            values[name] = parameter.default
    return values


def _describe_threshold(key: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return describe_settings(value)
    if key in COLUMNS:
        names = value if isinstance(value, list) else [value]
        return COLUMNS[key].format(" > ".join(map(describe_column, names)))
    if key == "against":
        return f"against {describe_key(str(value))}"
    if key == "at":
        return EVALUATIONS[value]
    if key == "ratio":
        return "α_{} / α_{}".format(*value)
    text = _format_threshold(value)
    return TEMPLATES.get(key, f"{key.replace('_', ' ')} {{}}").format(text)


def _format_threshold(value: Any) -> str:
    if isinstance(value, (int, float)):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
