"""Parameters that a learner keeps as they were when the current phase began."""

from __future__ import annotations

from bfc.types import Params

BEFORE = "before_"
"""What the names of kept parameters begin with."""


def remember(params: Params) -> Params:
    """Copies of all parameters under their kept names."""
    return {f"{BEFORE}{name}": p.clone() for name, p in params.items()}


def renew(params: Params) -> Params:
    """The kept parameters of a phase that begins now; empty where none are kept."""
    names = [name for name in params if name.startswith(BEFORE)]
    return {name: params[name.removeprefix(BEFORE)].clone() for name in names}


def recall(params: Params) -> Params:
    """The parameters that the current phase began with, under their own names."""
    names = [name for name in params if name.startswith(BEFORE)]
    return {name.removeprefix(BEFORE): params[name] for name in names}
