"""Which trainings are run: ``single``, ``ladder``, ``adaptive``, ``online``.

:func:`fit_exponent` estimates the growth of n* from any table of trainings. It is imported on first
use, so that training starts without pandas.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("fit_exponent", "ExponentFit"):
        from bfc.stats import exponent_fit

        return getattr(exponent_fit, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
