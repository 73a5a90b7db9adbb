"""Which trainings are run: ``single``, ``ladder``, ``adaptive``, ``online``.

:func:`fit_exponent` estimates the growth of n* from any table of trainings. It is imported on first
use, so that training starts without pandas. The measures' classes are offered by name, as those of
the other component packages: ``bfc.measure.Adaptive``.
"""

from __future__ import annotations

from typing import Any

from bfc.exports import offer_classes

_offer_class, __dir__ = offer_classes(__name__, __path__[0])


def __getattr__(name: str) -> Any:
    if name in ("fit_exponent", "ExponentFit"):
        from bfc.stats import exponent_fit

        return getattr(exponent_fit, name)
    return _offer_class(name)
