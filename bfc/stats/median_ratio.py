"""The ratio of two medians whose samples share no draws.

Joining two intervals of single medians would be 1.3 to 1.5 times as wide as Welch's interval of the
logarithms with 3 to 6 values (tests/test_predicate_coverage.py), so both samples are read together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from bfc.stats.estimates import FEWEST_FOR_ORDER, NO_INTERVAL, Ends, WithStandardError, exp
from bfc.stats.outcomes import FloatArray

LARGEST_EXACT = 900
"""Pairs up to which the distribution of Mann and Whitney's U is counted exactly."""


@dataclass(frozen=True, eq=False)
class MedianRatio:
    """The ratio of the medians of two independent samples of positive values, (n,) and (m,).

    Their logarithms are assumed to have distributions that differ by a shift, or are symmetric.
    From :data:`FEWEST_FOR_ORDER` values in both on, the interval is that of Mann and Whitney
    (Hodges and Lehmann 1963): it lies between two of the ratios of a value of one and a value of
    the other, ranked exactly. With fewer it is Welch's of the logarithms, which are assumed to be
    normal; at a level that the ranks do not reach, Welch's extended to the range of the ratios. An
    infinite value is larger than any other, and of NaN nothing is known; Welch's needs values that
    are positive and finite.
    """

    over: FloatArray
    under: FloatArray

    @property
    def value(self) -> float:
        known = [sample[~np.isnan(sample)] for sample in (self.over, self.under)]
        if not len(known[0]) or not len(known[1]):
            return math.nan
        over, under = (float(np.median(sample)) for sample in known)
        if under == 0:
            return math.inf if over > 0 else math.nan
        return over / under

    def interval(self, level: float) -> Ends:
        counts = len(self.over), len(self.under)
        if min(counts) < FEWEST_FOR_ORDER:
            return self._welch(level)
        lowers, uppers = self._ratios()
        rank = _mann_whitney_rank(*counts, level)
        if rank > 0:
            return float(lowers[rank - 1]), float(uppers[-rank])
        lo, hi = self._welch(level)
        return min(lo, float(lowers[0])), max(hi, float(uppers[-1]))

    def _ratios(self) -> tuple[FloatArray, FloatArray]:
        """Every value of one over every value of the other, ascending.

        Zero over zero, infinity over infinity and what is unknown may be anything.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = np.divide.outer(self.over, self.under).ravel()
        is_open = np.isnan(ratios)
        return (
            np.sort(np.where(is_open, 0.0, ratios)),
            np.sort(np.where(is_open, np.inf, ratios)),
        )

    def _welch(self, level: float) -> Ends:
        samples = (self.over, self.under)
        if any(len(sample) < 2 or not _is_positive(sample) for sample in samples):
            return NO_INTERVAL
        first, second = np.log(self.over), np.log(self.under)
        variances = [float(np.var(logs, ddof=1)) / len(logs) for logs in (first, second)]
        if min(variances) == 0:
            return NO_INTERVAL
        parts = [v**2 / (len(logs) - 1) for v, logs in zip(variances, (first, second), strict=True)]
        shift = float(first.mean() - second.mean())
        total = sum(variances)
        estimate = WithStandardError(shift, math.sqrt(total), total**2 / sum(parts))
        lo, hi = estimate.interval(level)
        return math.exp(lo), exp(hi)


def _is_positive(values: FloatArray) -> bool:
    return bool((values > 0).all() and np.isfinite(values).all())


@lru_cache(maxsize=4096)
def _mann_whitney_rank(first: int, second: int, level: float) -> int:
    """The largest k such that the k-th smallest and k-th largest of the ``first`` · ``second``
    differences enclose the shift with probability ``level``; 0 where even their range does not.

    From the exact distribution of U, and where there are more than :data:`LARGEST_EXACT` from its
    normal approximation with the correction for continuity (Hollander, Wolfe and Chicken,
    Nonparametric Statistical Methods, 4.3).
    """
    size = first * second
    tail = (1.0 - level) / 2.0
    if size > LARGEST_EXACT:
        deviation = math.sqrt(size * (first + second + 1) / 12.0)
        return max(0, math.floor(size / 2.0 + 0.5 + float(stats.norm.ppf(tail)) * deviation))
    tails = np.cumsum(_count_rankings(first, second)) / math.comb(first + second, first)
    return min(int(np.searchsorted(tails, tail, side="right")), (size + 1) // 2)


def _count_rankings(first: int, second: int) -> FloatArray:
    """How many rankings of two samples have U = 0, 1, …, shape (first · second + 1,).

    The coefficients of the Gaussian binomial, a product of (1 − q^(first + i)) / (1 − q^i) over
    i = 1 … second (Mann and Whitney 1947).
    """
    size = first * second
    ways = np.zeros(size + 1)
    ways[0] = 1.0
    for i in range(1, second + 1):
        if first + i <= size:
            ways[first + i :] -= ways[: size + 1 - first - i].copy()
        for power in range(i, size + 1):
            ways[power] += ways[power - i]
    return ways
