"""How many samples does a learner need for a hierarchical target, as dimension and depth grow?

    import bfc

    target = bfc.targets.QuadraticDenseNet(d=16, L=3, widths=(4, 2), alpha=(1, 0.5))
    method = bfc.Method(bfc.learners.QuadraticDenseNet(widths=(4, 4)), schedule="staged")
    runs = bfc.run(target, method, n=[64, 128, 256, 512], seeds=8)
    bfc.nstar(runs, eps=0.1)

The functions are those of :mod:`bfc.api`. They and the packages ``targets``, ``learners``,
``baselines``, ``tasks``, ``representations``, ``probes``, ``schedules``, ``optimizers`` and
``measure`` load when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bfc import import_time as import_time

if TYPE_CHECKING:
    from bfc.api import *  # noqa: F403

__version__ = "0.1.0"

_FUNCTIONS = (
    "Adam",
    "ExponentFit",
    "Method",
    "NStar",
    "SGD",
    "compose",
    "curve",
    "fit_exponent",
    "load",
    "nstar",
    "run",
)
_PACKAGES = (
    "baselines",
    "learners",
    "measure",
    "optimizers",
    "probes",
    "representations",
    "schedules",
    "targets",
    "tasks",
)


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module("bfc.api"), name)
    if name in _PACKAGES:
        return importlib.import_module(f"bfc.{name}")
    raise AttributeError(f"module 'bfc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_FUNCTIONS, *_PACKAGES, "__version__"])
