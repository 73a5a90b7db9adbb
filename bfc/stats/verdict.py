"""The verdict on growth: is n* polynomial in d, and what can this range of d not exclude?

:func:`judge_growth` decides from the table of candidates; :func:`describe_verdict` says it in one
sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np
import pandas as pd

from bfc.stats.exponent_posterior import Posterior
from bfc.stats.messages import format_interval
from bfc.stats.reasons import Interval

STRONG = 3.0
"""Difference of held-out log scores (odds of 20) from which one candidate is said to beat another.
"""
SLIGHT = 1.0
"""Difference from which a preference is mentioned."""
LARGEST_ODDS = 1e4


class Growth(Enum):
    """What the held-out scores say about the growth of n*."""

    UNTESTED = auto()
    """The d are too few to tell a power law from an exponential."""
    POLYNOMIAL = auto()
    NO_SINGLE_POWER = auto()
    """An exponential does worse, yet the local exponent changes with d."""
    FASTER = auto()
    """An exponential does better than a power law."""
    UNDECIDED = auto()


@dataclass(frozen=True)
class GrowthVerdict:
    """What grows how, and what this range of d cannot exclude. Intervals are (value, lo, hi)."""

    growth: Growth
    exponent: Interval
    gap: float = np.nan
    """Held-out log score of the power law less that of the exponential."""
    rate: Interval = (np.nan, np.nan, np.nan)
    """b of the exponential e^(b d)."""
    curvature: Interval | None = None
    """γ, the coefficient of (log d)²; None where the d are too few for it."""
    log_factors: Mapping[int, float] | None = field(default=None)
    """q → exponent of d beside (log d)^q, for the q = 1, 2 that are compatible with the data; None
    where this is not known or beside the point."""

    @property
    def is_straight(self) -> bool:
        """Whether the data are compatible with one exponent for all d."""
        return _is_straight(self.curvature)


def judge_growth(
    posterior: Posterior, models: pd.DataFrame, log_factors: Mapping[int, float]
) -> GrowthVerdict:
    """The verdict from the exponent, the table of :func:`bfc.stats.model_comparison.compare_models`
    and the log factors beside a power that it found compatible."""
    table = models.set_index("model")
    exponent = (posterior.exponent, posterior.lo, posterior.hi)
    gap = float(table.loc["power", "score"] - table.loc["exponential", "score"])
    if not np.isfinite(gap):
        return GrowthVerdict(Growth.UNTESTED, exponent)
    curvature = _read_interval(table, "power_log2")
    has_curvature = bool(np.isfinite(curvature[1:]).all())
    has_log_factor = bool(np.isfinite(table.loc["power_log", "lo"]))
    return GrowthVerdict(
        growth=_name_growth(gap, _is_straight(curvature if has_curvature else None)),
        exponent=exponent,
        gap=gap,
        rate=_read_interval(table, "exponential"),
        curvature=curvature if has_curvature else None,
        log_factors=log_factors if has_log_factor and gap > -STRONG else None,
    )


def describe_verdict(verdict: GrowthVerdict, axis: str = "d") -> str:
    """The verdict as a sentence, its parts separated by semicolons.

    ``axis``: the symbol of the swept size.
    """
    exponent = f"exponent {format_interval(*verdict.exponent)}"
    if verdict.growth is Growth.UNTESTED:
        return f"{exponent} if the growth is polynomial, which so few {axis} cannot tell"
    parts = [_describe_growth(verdict, exponent, axis)]
    if verdict.curvature is not None:
        parts.append(_describe_curvature(verdict.curvature, axis))
    if verdict.log_factors is not None:
        parts.append(describe_log_factors(verdict.log_factors, axis))
    return "; ".join(parts)


def _name_growth(gap: float, is_straight: bool) -> Growth:
    if gap >= STRONG:
        return Growth.POLYNOMIAL if is_straight else Growth.NO_SINGLE_POWER
    return Growth.FASTER if gap <= -STRONG else Growth.UNDECIDED


def _is_straight(curvature: Interval | None) -> bool:
    if curvature is None:
        return True
    _, lo, hi = curvature
    return lo <= 0 <= hi


def _read_interval(table: pd.DataFrame, model: str) -> Interval:
    value, lo, hi = (float(table.loc[model, name]) for name in ("value", "lo", "hi"))
    return value, lo, hi


def _describe_growth(verdict: GrowthVerdict, exponent: str, axis: str) -> str:
    rate = f"exponential growth e^(b {axis}), b = {format_interval(*verdict.rate)},"
    odds = _format_odds(abs(verdict.gap))
    match verdict.growth:
        case Growth.FASTER:
            return (
                f"faster than polynomial: {rate} predicts the largest {axis} better "
                f"(odds {odds} : 1) than a power law with {exponent}"
            )
        case Growth.UNDECIDED:
            preference = "not told apart on this range"
            if abs(verdict.gap) > SLIGHT:
                which = "first" if verdict.gap > 0 else "second"
                preference = f"the {which} preferred by odds of only {odds} : 1"
            return f"polynomial with {exponent} or {rate} {preference}"
        case Growth.NO_SINGLE_POWER:
            head = f"not a single power of {axis} (taken as one: {exponent})"
        case _:
            head = f"polynomial with {exponent}"
    return f"{head}; exponential growth predicts the largest {axis} worse (odds 1 : {odds})"


def _describe_curvature(curvature: Interval, axis: str) -> str:
    _, lo, hi = curvature
    if _is_straight(curvature):
        return f"(log {axis})² term below {max(-lo, hi):.2g} cannot be excluded on this range"
    direction = "rises" if lo > 0 else "falls"
    term = f"(log {axis})² term {format_interval(*curvature)}"
    return f"the local exponent {direction} with {axis}: {term}"


def describe_log_factors(log_factors: Mapping[int, float], axis: str = "d") -> str:
    """Which factors of log d beside a power of d are compatible with the data, as a clause.

    ``axis``: the symbol in the place of d.
    """
    if not log_factors:
        return "one or two log factors beside a power are excluded"
    names = []
    for q, exponent in log_factors.items():
        factor = f"log {axis}" if q == 1 else f"(log {axis})^{q}"
        names.append(f"{axis}^{exponent:.2f} {factor}")
    verb = "is" if len(names) == 1 else "are"
    return f"{' and '.join(names)} {verb} compatible too"


def _format_odds(gap: float) -> str:
    if gap > np.log(LARGEST_ODDS):
        return "over 10000"
    digits = 0 if gap > np.log(10) else 1
    return f"{np.exp(gap):.{digits}f}"
