"""Which trainings are run (``single``, ``ladder``, ``adaptive``, ``online``) and what a table of
trainings says about n* and its growth. :func:`fit_exponent` is the call for anyone's table; it is
imported on first use, so that training starts without pandas."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("fit_exponent", "ExponentFit"):
        from bfc.stats import exponent_fit as fit

        return getattr(fit, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
