"""Stored columns and configuration keys in words, for sentences that a reader sees.

Columns of probes are called ``<phase>/<quantity>``, such as ``level3/gram/2``; keys are called
``<group>.<name>``. The table of symbols in the documentation says more of each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

QUANTITIES: Mapping[str, str] = {
    r"risk": "relative test risk",
    r"gram/(\d+)": "Gram error of level {}",
    r"predicted/(\d+)": "predicted Gram error of level {}",
    r"subspace/(\d+)": "subspace error of level {}",
    r"feature/(\d+)": "feature error (1 − R²) of level {}",
    r"correlation/(\d+)": "correlation of the units of level {} with themselves before the phase",
    r"synonyms(\d+)/(\d+)": "distance of synonyms of level {} of the hierarchy at level {}",
    r"capacity/beta": "movement of a unit from its start",
    r"capacity/measure": "unit-wise capacity",
    r"capacity/frobenius": "product of the Frobenius norms of the layers",
    r"coupling/linear_per_norm": "linear term that random signs leave, over the norm",
    r"coupling/rest": "all but the quadratic term that random signs leave",
    r"norm/ratio": "norm that training found, over that of the theory",
    r"overlap/forms": "overlap with the planted quadratic forms",
    r"overlap/form_(\d+)": "overlap with the planted quadratic form {}",
    r"overlap/subspace": "overlap with the planted directions",
    r"loss": "loss",
    r"perfect": "loss with a perfect first layer",
    r"discretisation": "part of the loss that the finite first layer adds",
    r"slope": "slope of the mean second-layer neuron over that of the hinge",
    r"kink": "kink of the mean second-layer neuron over that of the hinge",
    r"w2_sd": "spread of the weights of the second layer",
    r"norm_sd": "relative spread of the feature over the norm of x",
}
"""Pattern of a quantity → its name; groups of the pattern are filled in."""
PHASES: Mapping[str, str] = {
    r"all": "",
    r"level(\d+)": " after the phase of level {}",
    r"joint": " after joint training",
    r"tie(\d+)": " after level {} was tied",
}
"""Pattern of a phase → what follows the name of a quantity at its end."""
KEY_NAMES: Mapping[str, str] = {
    "lr": "learning rate",
    "m1": "first-layer neurons",
    "m2": "second-layer neurons",
    "law": "input law",
    "sets": "sets of coordinates",
}
SETTINGS: Mapping[tuple[str, str], str] = {
    ("measure.validation", "inside"): "validation labels counted in n",
    ("measure.validation", "free"): "validation labels not counted in n",
    ("measure.validation", "none"): "no validation labels",
    ("task.judge", "total"): "task judged by the total risk",
    ("task.judge", "excess"): "task judged by the excess risk",
}
"""Settings that their key and value do not explain."""


def describe_column(name: str) -> str:
    """A stored column in words; its name where it is not known."""
    quantity = _fill(QUANTITIES, name)
    if quantity is not None:
        return quantity
    phase, _, rest = name.partition("/")
    quantity, ending = _fill(QUANTITIES, rest), _fill(PHASES, phase)
    return name if quantity is None or ending is None else quantity + ending


def describe_key(key: str) -> str:
    """A configuration key in words, such as ``widths of the learner``."""
    group, _, name = key.rpartition(".")
    words = KEY_NAMES.get(name, name.replace("_", " "))
    return f"{words} of the {group.replace('.', ' ')}" if group else words


def describe_settings(settings: Mapping[str, Any]) -> str:
    """Settings in words, those of a group together: ``learner with widths [512]``."""
    groups: dict[str, list[str]] = {}
    for key, value in settings.items():
        group, words = _describe_setting(key, value)
        groups.setdefault(group, []).append(words)
    texts = []
    for group, parts in groups.items():
        texts.append(" with ".join(filter(None, (group, ", ".join(parts)))))
    return ", ".join(texts)


def _describe_setting(key: str, value: Any) -> tuple[str, str]:
    """The group, empty where words or the key say enough, and the setting in words."""
    known = SETTINGS.get((key, str(value)))
    group, _, name = key.rpartition(".")
    if known is not None or not group:
        return "", known or f"{key} = {value}"
    number = "none" if value is None else f"{value:g}" if isinstance(value, float) else value
    return group.replace(".", " "), f"{KEY_NAMES.get(name, name.replace('_', ' '))} {number}"


def _fill(patterns: Mapping[str, str], name: str) -> str | None:
    """The text of the pattern that a name matches; None where there is none."""
    for pattern, text in patterns.items():
        match = re.fullmatch(pattern, name)
        if match:
            return text.format(*match.groups())
    return None
