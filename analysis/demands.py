"""Renders what a claim demands: its thresholds, in the words of the table of claims."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from analysis.registry import load_constant, load_part

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
    "column": "{}",
    "with_column": "over {}",
    "from_d": "from d = {}",
    "to_d": "to d = {}",
    "factors": "by factors {}",
}


def describe_demand(thresholds: Mapping[str, Any], predicate: str | None = None) -> str:
    """What ``predicate`` measures, and the thresholds.

    For instance ``smallest ratio of n*: refit over staged, ε = 0.01, at least 1.5``.
    """
    quantity = ""
    values = dict(thresholds)
    if predicate is not None:
        quantity = load_constant("predicates", predicate, "QUANTITY", "")
        values = _order_thresholds(thresholds, predicate)
    parts = []
    for key in sorted(values, key=lambda name: name in BOUNDS):
        if key != "predicate":
            parts.append(_describe_threshold(key, values[key], thresholds))
    demand = ", ".join(parts).replace(", over ", " over ")
    return ": ".join(filter(None, (quantity, demand)))


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


def _describe_threshold(key: str, value: Any, thresholds: Mapping[str, Any]) -> str:
    if isinstance(value, Mapping):
        if key == "thresholds":
            return describe_demand(value, thresholds.get("predicate"))
        return ", ".join(f"{name} = {setting}" for name, setting in value.items())
    text = _format_threshold(value)
    if key == "columns":
        return " > ".join(text.split(", "))
    if key in TEMPLATES:
        return TEMPLATES[key].format(text)
    return f"{key.replace('_', ' ')} {text}"


def _format_threshold(value: Any) -> str:
    if isinstance(value, (int, float)):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
