"""Ratios and differences of two independent estimates, with intervals at any level.

Half widths are added in quadrature: joining the far ends of two intervals would be √2 times too
wide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bfc.stats.estimates import Ends, Estimate, exp


@dataclass(frozen=True)
class Ratio:
    """The ratio of two independent positive estimates.

    Half widths of the logarithms are added in quadrature, each side by itself (Zou and Donner
    2008): the interval of a difference of independent normal estimates, and not the √2 times wider
    one that joins the far ends, which is used where a value is zero or infinite. An end that is
    open in one of them is open in the ratio.
    """

    over: Estimate
    under: Estimate

    @property
    def value(self) -> float:
        over, under = self.over.value, self.under.value
        if under == 0:
            return math.inf if over > 0 else math.nan
        return over / under

    def interval(self, level: float) -> Ends:
        over, under = _to_logs(self.over, level), _to_logs(self.under, level)
        lo, hi = _subtract(over, under)
        return math.exp(lo), exp(hi)


@dataclass(frozen=True)
class Difference:
    """The difference of two independent estimates, half widths added in quadrature."""

    first: Estimate
    second: Estimate

    @property
    def value(self) -> float:
        return self.first.value - self.second.value

    def interval(self, level: float) -> Ends:
        first = (self.first.value, *self.first.interval(level))
        second = (self.second.value, *self.second.interval(level))
        return _subtract(first, second)


def _log(number: float) -> float:
    """The logarithm; minus infinity at zero, NaN below."""
    if number > 0:
        return math.log(number)
    return -math.inf if number == 0 else math.nan


def _to_logs(estimate: Estimate, level: float) -> tuple[float, float, float]:
    """Value and ends as logarithms; a lower end below zero is open."""
    lo, hi = estimate.interval(level)
    return _log(estimate.value), _log(max(lo, 0.0) if not math.isnan(lo) else lo), _log(hi)


def _subtract(first: tuple[float, float, float], second: tuple[float, float, float]) -> Ends:
    """Ends of first − second, each given as (value, lo, hi)."""
    difference = first[0] - second[0]
    if not math.isfinite(difference):
        return first[1] - second[2], first[2] - second[1]
    below = math.hypot(first[0] - first[1], second[2] - second[0])
    above = math.hypot(first[2] - first[0], second[0] - second[1])
    return difference - below, difference + above
