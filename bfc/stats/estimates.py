"""Estimates that give an interval at any level of confidence.

A verdict needs intervals at more than one level: 95 % for the reader, another one where a claim
speaks of several places or is looked at several times. So an estimate is not three numbers but an
object with a value and a method ``interval(level)``, which is NaN at both ends where the data
support no interval at that level. Every kind states what its coverage rests on, and
tests/test_predicate_coverage.py holds it against simulated truths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from scipy import stats

from bfc.stats.outcomes import FloatArray
from bfc.stats.predicted_counts import (
    PredictedIntervals,
    clopper_pearson,
    predict_intervals,
)

LEVEL = 0.95
"""The level of the intervals that tables and figures show."""
Ends = tuple[float, float]
"""Lower and upper end of an interval; NaN where there is none."""
Scale = Literal["log", "linear", "either"]
"""On which scale draws are assumed to be normal, where they are few."""
NO_INTERVAL = (math.nan, math.nan)
FEWEST_FOR_ORDER = 6
"""Values whose range covers the median of their distribution at :data:`LEVEL`."""


class Estimate(Protocol):
    """A value with an interval at any level."""

    @property
    def value(self) -> float: ...

    def interval(self, level: float) -> Ends:
        """The ends of the interval that covers the truth with probability ``level``."""
        ...


@runtime_checkable
class CountEstimate(Estimate, Protocol):
    """An estimate from counts, whose interval at more data is known without an approximation."""

    def grow(self, factor: float) -> Estimate:
        """The estimate from ``factor`` times the trials with the same share of successes."""
        ...

    def predict_intervals(self, factor: float, level: float) -> PredictedIntervals:
        """The intervals that ``factor`` times the trials may lead to, with their probabilities."""
        ...


@dataclass(frozen=True, eq=False)
class SampleMedian:
    """The median of a distribution of which ``values`` are independent draws, shape (n,).

    From :data:`FEWEST_FOR_ORDER` values on the interval lies between two order statistics, whatever
    the distribution (Conover, Practical Nonparametric Statistics, 3.2). With fewer, but at least 2,
    it is Student's on the ``scale`` on which the values are assumed to be normal; with more, at a
    level that the order statistics do not reach, it is Student's extended to the range of the
    values, so that intervals grow with the level. Student's needs values that are finite, known and
    not all equal: a spread of zero says nothing about that of a distribution. Where it has none the
    order statistics serve as soon as they reach the level (:func:`count_needed`). The scale must
    follow from the quantity and not from the values: positive draws of a quantity that may be
    negative, taken in logarithms, cover 73 % instead of 95 % with 2 seeds. Where the quantity
    leaves it open, ``either`` takes the hull of both intervals.

    An infinite value (a training that diverged) is larger than any other, NaN is a value of which
    nothing is known. Values that are known to lie between two bounds only (censored ones) are
    given with ``lowers`` and ``uppers``. In all these cases the ends are those order statistics
    that hold whatever the unknown values are.
    """

    values: FloatArray
    lowers: FloatArray | None = None
    uppers: FloatArray | None = None
    scale: Scale = "log"

    @property
    def value(self) -> float:
        known = self.values[~np.isnan(self.values)]
        return float(np.median(known)) if len(known) else math.nan

    def interval(self, level: float) -> Ends:
        lowers, uppers = self._bounds()
        count = len(lowers)
        rank = tail_rank(count, level)
        has_spread = count > 1 and self._has_spread(lowers, uppers)
        if rank > 0 and (count >= FEWEST_FOR_ORDER or not has_spread):
            return float(lowers[rank - 1]), float(uppers[count - rank])
        if not has_spread:
            return NO_INTERVAL
        lo, hi = self._student(lowers, level)
        if count >= FEWEST_FOR_ORDER:
            return min(lo, float(lowers[0])), max(hi, float(uppers[-1]))
        return lo, hi

    def _bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds of the values, each in ascending order."""
        lowers = self.values if self.lowers is None else self.lowers
        uppers = self.values if self.uppers is None else self.uppers
        return (
            np.sort(np.where(np.isnan(lowers), -np.inf, lowers)),
            np.sort(np.where(np.isnan(uppers), np.inf, uppers)),
        )

    def _has_spread(self, lowers: FloatArray, uppers: FloatArray) -> bool:
        """Whether the values are finite, known and not all equal; in logarithms positive."""
        is_known = np.isfinite(lowers).all() and np.array_equal(lowers, uppers)
        has_scale = self.scale != "log" or lowers[0] > 0
        return bool(is_known and has_scale and lowers[0] < lowers[-1])

    def _student(self, ordered: FloatArray, level: float) -> Ends:
        intervals = []
        if self.scale != "log":
            intervals.append(SampleMean(ordered).interval(level))
        if self.scale != "linear" and ordered[0] > 0:
            lo, hi = SampleMean(np.log(ordered)).interval(level)
            intervals.append((math.exp(lo), exp(hi)))
        return min(lo for lo, _ in intervals), max(hi for _, hi in intervals)


@lru_cache(maxsize=4096)
def tail_rank(count: int, level: float) -> int:
    """The largest k such that the k-th smallest and k-th largest of ``count`` draws enclose the
    median with probability ``level``; 0 where even the whole range does not."""
    tails = stats.binom.cdf(np.arange(count // 2), count, 0.5)
    return int(np.searchsorted(tails, (1.0 - level) / 2.0, side="right"))


def count_needed(level: float) -> int:
    """How many draws have a range that covers their median with probability ``level``: 1 − 2^(1−n).

    Draws that are equal, infinite, censored or missing have no other interval.
    """
    return max(2, math.ceil(1.0 - math.log2(1.0 - level)))


@dataclass(frozen=True, eq=False)
class SampleMean:
    """The mean of a distribution of which ``values`` are independent draws, shape (n,).

    Student's interval; exact for normal draws, of which it takes two that differ.
    """

    values: FloatArray

    @property
    def value(self) -> float:
        return float(np.mean(self.values)) if len(self.values) else math.nan

    def interval(self, level: float) -> Ends:
        count = len(self.values)
        if count < 2:
            return NO_INTERVAL
        if not np.isfinite(self.values).all() or np.ptp(self.values) == 0:
            return NO_INTERVAL
        error = float(np.std(self.values, ddof=1)) / math.sqrt(count)
        return WithStandardError(self.value, error, count - 1).interval(level)


@lru_cache(maxsize=4096)
def _student_quantile(level: float, degrees_of_freedom: float) -> float:
    """How many standard errors the interval of Student reaches to either side."""
    return float(stats.t.ppf(0.5 + level / 2.0, degrees_of_freedom))


@dataclass(frozen=True)
class WithStandardError:
    """A value with its standard error; Student's interval with these degrees of freedom."""

    value: float
    error: float
    degrees_of_freedom: float = math.inf

    def interval(self, level: float) -> Ends:
        half = _student_quantile(level, self.degrees_of_freedom) * self.error
        return self.value - half, self.value + half


@dataclass(frozen=True)
class Share:
    """The probability of an event that happened ``successes`` times in ``count`` trials.

    The interval of Clopper and Pearson (1934), which covers at least at its level for any count.
    ``successes`` need not be whole: where several trials share their draws, the share of each draw
    counts as one trial, whose variance is at most that of a single trial.
    """

    successes: float
    count: int

    @property
    def value(self) -> float:
        return self.successes / self.count if self.count else math.nan

    def grow(self, factor: float) -> Share:
        count = round(factor * self.count)
        return Share(round(count * self.value), count)

    def predict_intervals(self, factor: float, level: float) -> PredictedIntervals:
        added = max(0, round(factor * self.count) - self.count)
        return predict_intervals(self.successes, self.count, added, level)

    def interval(self, level: float) -> Ends:
        if not self.count:
            return NO_INTERVAL
        failures = self.count - self.successes
        lo, hi = clopper_pearson(np.array(self.successes), np.array(failures), level)
        return float(lo), float(hi)


@dataclass(frozen=True)
class Rescaled:
    """A value whose interval is known at 95 % only, such as quantiles of a posterior.

    At another level each half is stretched as that of a normal distribution would be, in
    logarithms where ``in_logs``. Ends that are open stay open. Without a value (NaN) there is
    nothing to stretch from: the ends hold at levels up to 95 %, and above there is no interval.
    """

    value: float
    lo: float
    hi: float
    in_logs: bool = True

    def interval(self, level: float) -> Ends:
        if math.isnan(self.value):
            return (self.lo, self.hi) if level <= LEVEL else NO_INTERVAL
        factor = _student_quantile(level, math.inf) / _student_quantile(LEVEL, math.inf)
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


def exp(number: float) -> float:
    """The exponential, infinite where it overflows."""
    return math.exp(number) if number < 700.0 else number if math.isnan(number) else math.inf
