"""Estimates that give an interval at any level of confidence.

A verdict needs intervals at more than one level: 95 % for the reader, another one where a claim
speaks of several places or is looked at several times. So an estimate is not three numbers but an
object with a value and a method ``interval(level)``, which is NaN at both ends where the data
support no interval at that level. Every kind states what its coverage rests on, and
tests/test_predicate_coverage.py holds it against simulated truths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from bfc.stats.outcomes import FloatArray

LEVEL = 0.95
"""The level of the intervals that tables and figures show."""
Ends = tuple[float, float]
"""Lower and upper end of an interval; NaN where there is none."""
NO_INTERVAL = (math.nan, math.nan)


class Estimate(Protocol):
    """A value with an interval at any level."""

    @property
    def value(self) -> float: ...

    def interval(self, level: float) -> Ends:
        """The ends of the interval that covers the truth with probability ``level``."""
        ...


@dataclass(frozen=True, eq=False)
class SampleMedian:
    """The median of a distribution of which ``values`` are independent draws, shape (n,).

    The interval lies between two order statistics where these reach the level, whatever the
    distribution (Conover, Practical Nonparametric Statistics, 3.2): with 6 values at 95 %. With
    fewer, but at least 2, it is Student's, of the logarithms where all values are positive, and
    assumes that these are normal. Infinite values (trainings that diverged) count as larger than
    any other; then only order statistics are used.
    """

    values: FloatArray

    @property
    def value(self) -> float:
        return float(np.median(self.values)) if len(self.values) else math.nan

    def interval(self, level: float) -> Ends:
        ordered = np.sort(self.values)
        count = len(ordered)
        rank = _tail_rank(count, level)
        if rank > 0:
            return float(ordered[rank - 1]), float(ordered[count - rank])
        if count < 2 or not np.isfinite(ordered).all():
            return NO_INTERVAL
        if ordered[0] > 0:
            lo, hi = SampleMean(np.log(ordered)).interval(level)
            return math.exp(lo), math.exp(min(hi, 700.0))
        return SampleMean(ordered).interval(level)


def _tail_rank(count: int, level: float) -> int:
    """The largest k such that the k-th smallest and k-th largest of ``count`` draws enclose the
    median with probability ``level``; 0 where even the whole range does not."""
    tails = stats.binom.cdf(np.arange(count // 2), count, 0.5)
    return int(np.searchsorted(tails, (1.0 - level) / 2.0, side="right"))


@dataclass(frozen=True, eq=False)
class SampleMean:
    """The mean of a distribution of which ``values`` are independent draws, shape (n,).

    Student's interval; exact for normal draws, of which it takes two.
    """

    values: FloatArray

    @property
    def value(self) -> float:
        return float(np.mean(self.values)) if len(self.values) else math.nan

    def interval(self, level: float) -> Ends:
        count = len(self.values)
        if count < 2:
            return NO_INTERVAL
        error = float(np.std(self.values, ddof=1)) / math.sqrt(count)
        return WithStandardError(self.value, error, count - 1).interval(level)


@dataclass(frozen=True)
class WithStandardError:
    """A value with its standard error; Student's interval with these degrees of freedom."""

    value: float
    error: float
    degrees_of_freedom: float = math.inf

    def interval(self, level: float) -> Ends:
        half = float(stats.t.ppf(0.5 + level / 2.0, self.degrees_of_freedom)) * self.error
        return self.value - half, self.value + half


@dataclass(frozen=True)
class Share:
    """The probability of an event that happened ``successes`` times in ``count`` trials.

    The interval of Clopper and Pearson (1934), which covers at least at its level for any count.
    """

    successes: int
    count: int

    @property
    def value(self) -> float:
        return self.successes / self.count if self.count else math.nan

    def interval(self, level: float) -> Ends:
        if not self.count:
            return NO_INTERVAL
        ends = stats.binomtest(self.successes, self.count).proportion_ci(level, "exact")
        return float(ends.low), float(ends.high)


@dataclass(frozen=True)
class Rescaled:
    """A value whose interval is known at 95 % only, such as quantiles of a posterior.

    At another level each half is stretched as that of a normal distribution would be, in
    logarithms where ``in_logs``. Ends that are open stay open.
    """

    value: float
    lo: float
    hi: float
    in_logs: bool = True

    def interval(self, level: float) -> Ends:
        factor = float(stats.norm.ppf(0.5 + level / 2.0) / stats.norm.ppf(0.5 + LEVEL / 2.0))
        if not self.in_logs:
            return (
                self.value - factor * (self.value - self.lo),
                self.value + factor * (self.hi - self.value),
            )
        return self._stretch(self.lo, factor), self._stretch(self.hi, factor)

    def _stretch(self, end: float, factor: float) -> float:
        if end <= 0 or not math.isfinite(end):
            return end
        return float(self.value * (end / self.value) ** factor)


@dataclass(frozen=True)
class Certified:
    """A value that is known to lie between two bounds by proof; no chance is involved."""

    value: float
    lo: float
    hi: float

    def interval(self, level: float) -> Ends:
        return self.lo, self.hi


@dataclass(frozen=True)
class Ratio:
    """The ratio of two independent positive estimates.

    Half widths of the logarithms are added in quadrature, each side by itself: the interval of a
    difference of independent normal estimates, and not the √2 times wider one that joins the far
    ends. An end that is open in one of them is open in the ratio.
    """

    over: Estimate
    under: Estimate

    @property
    def value(self) -> float:
        return self.over.value / self.under.value

    def interval(self, level: float) -> Ends:
        over, under = _to_logs(self.over, level), _to_logs(self.under, level)
        lo, hi = _subtract(over, under)
        return math.exp(lo), math.exp(min(hi, 700.0)) if math.isfinite(hi) else hi


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


@dataclass(frozen=True)
class GeometricMean:
    """The geometric mean of independent positive estimates, half widths in quadrature."""

    parts: Sequence[Estimate]

    @property
    def value(self) -> float:
        return math.exp(math.fsum(math.log(part.value) for part in self.parts) / len(self.parts))

    def interval(self, level: float) -> Ends:
        logs = [_to_logs(part, level) for part in self.parts]
        below = math.sqrt(math.fsum((value - lo) ** 2 for value, lo, _ in logs)) / len(logs)
        above = math.sqrt(math.fsum((hi - value) ** 2 for value, _, hi in logs)) / len(logs)
        return self.value * math.exp(-below), self.value * math.exp(above)


def _to_logs(estimate: Estimate, level: float) -> tuple[float, float, float]:
    """Value and ends as logarithms; an end at zero becomes minus infinity."""
    lo, hi = estimate.interval(level)
    logs = [math.log(number) if number > 0 else number for number in (estimate.value, hi)]
    return logs[0], math.log(lo) if lo > 0 else (math.nan if math.isnan(lo) else -math.inf), logs[1]


def _subtract(first: tuple[float, float, float], second: tuple[float, float, float]) -> Ends:
    """Ends of first − second, each given as (value, lo, hi)."""
    difference = first[0] - second[0]
    below = math.hypot(first[0] - first[1], second[2] - second[0])
    above = math.hypot(first[2] - first[0], second[0] - second[1])
    return difference - below, difference + above
