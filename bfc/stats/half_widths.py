"""How wide an interval will be when there are more data, in standard errors.

That of a normal estimate has always the same width. With few draws it is wider, the fewer the more:
Student's interval with 2 draws is fifteen times as wide as with 9, and the order statistics that
enclose a median are never quite as close as they might be. So the chance that more seeds decide a
claim would be far underestimated if the width were taken to shrink as one over the root of their
number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from scipy import stats

from bfc.stats.estimates import (
    FEWEST_FOR_ORDER,
    Estimate,
    SampleMean,
    SampleMedian,
    WithStandardError,
    tail_rank,
)
from bfc.stats.median_ratio import MedianRatio


@dataclass(frozen=True)
class HalfWidth:
    """Half the width of an interval, in standard errors of the mean of its draws.

    ``draws``: their number now, 0 where the standard error does not come from draws. ``samples``:
    in how many samples of so many draws. ``has_order``: whether the interval lies between order
    statistics where there are enough of them. ``freedom``: degrees of freedom without draws.
    """

    draws: int = 0
    samples: int = 1
    has_order: bool = False
    freedom: float = math.inf

    def at(self, level: float, growth: float = 1.0) -> float:
        """At a level of confidence, with ``growth`` times the draws; NaN with less than 2."""
        if not self.draws:
            return _quantile(level, self.freedom)
        draws = math.floor(growth * self.draws + 1e-9)
        if draws < 2:
            return math.nan
        freedom = self.samples * (draws - 1)
        return _width_of_order(draws, level) if self.has_order else _quantile(level, freedom)


def describe_half_width(estimate: Estimate) -> HalfWidth:
    """That of an estimate; of a normal one where its kind is not known to be wider."""
    if isinstance(estimate, SampleMedian):
        return HalfWidth(len(estimate.values), has_order=True)
    if isinstance(estimate, SampleMean):
        return HalfWidth(len(estimate.values))
    if isinstance(estimate, MedianRatio):
        return HalfWidth(min(len(estimate.over), len(estimate.under)), samples=2)
    if isinstance(estimate, WithStandardError):
        return HalfWidth(freedom=estimate.degrees_of_freedom)
    return HalfWidth()


@lru_cache(maxsize=4096)
def _quantile(level: float, freedom: float) -> float:
    return float(stats.t.ppf(0.5 + level / 2.0, freedom))


@lru_cache(maxsize=4096)
def _width_of_order(draws: int, level: float) -> float:
    """Of the interval of a median (:class:`bfc.stats.estimates.SampleMedian`) of normal draws.

    The expected order statistics of a normal sample by Blom's approximation (1958).
    """
    if draws < FEWEST_FOR_ORDER:
        return _quantile(level, draws - 1)
    rank = tail_rank(draws, level)
    largest = draws + 1 - max(rank, 1)
    width = math.sqrt(draws) * float(stats.norm.ppf((largest - 0.375) / (draws + 0.25)))
    return width if rank > 0 else max(width, _quantile(level, draws - 1))
