"""Whether risk rises with n, by ranks: then it is a score, or something else that n* cannot mean.

Every estimator here takes for granted that more samples do not hurt. A table for which that is
false (accuracies given as risks, trainings that break down at large n) would otherwise read as a
fact about the smallest or largest n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bfc.stats.outcomes import FloatArray

CLEAR = 3.3
"""Standard errors from which a trend is no accident (one-sided p = 0.0005)."""
CLOSE = 0.7
"""Rank correlation with n from which risk as a whole, and not success alone, counts as rising."""
LEAST_RISE = 0.02
"""Of the median risk from the smallest to the largest sixth of n, in units of Var f*."""

FAR = 1e6
"""Stands for the risk of a diverged training in a median."""


def find_rising_d(d: FloatArray, n: FloatArray, risk: FloatArray, eps: float) -> FloatArray:
    """The d, increasing, at which trainings with more samples do worse; arrays of shape (N,).

    They do where success (risk <= eps) clearly becomes rarer with n, or where risk follows n
    closely and rises by ``LEAST_RISE``. If that holds for all d together, it is said of every one:
    a column of scores is one at every d. Infinite risks (diverged trainings) count as the worst.
    """
    values = np.unique(d)
    by_success, by_risk = [], []
    for value in values:
        rows = d == value
        by_success.append(_Trend.measure(n[rows], (risk[rows] > eps).astype(float)))
        by_risk.append(_Trend.measure(n[rows], risk[rows]))
    if _is_rising(by_success, by_risk):
        return values
    alone = [_is_rising([one], [other]) for one, other in zip(by_success, by_risk, strict=True)]
    return np.asarray(values[np.array(alone, dtype=bool)])


def _is_rising(by_success: list[_Trend], by_risk: list[_Trend]) -> bool:
    """Whether failures become more frequent with n, or risk follows it, in some cells together."""
    if _is_clear(by_success):
        return True
    measured = [trend for trend in by_risk if trend.deviation > 0]
    if not _is_clear(measured):
        return False
    correlation = np.median([trend.correlation for trend in measured])
    rise = np.median([trend.rise for trend in measured])
    return bool(correlation >= CLOSE and rise >= LEAST_RISE)


@dataclass(frozen=True)
class _Trend:
    """How the ranks of n and of a quantity go together at one d."""

    covariance: float
    deviation: float
    """Standard deviation of the covariance if they were unrelated (over permutations)."""
    correlation: float
    rise: float
    """Of the median from the smallest to the largest sixth of n."""

    @classmethod
    def measure(cls, n: FloatArray, quantity: FloatArray) -> _Trend:
        x, y = _centred_ranks(n), _centred_ranks(quantity)
        product, squares = float(x @ y), float((x @ x) * (y @ y))
        if len(n) < 2 or squares == 0:
            return cls(0.0, 0.0, 0.0, 0.0)
        deviation = float(np.sqrt(squares / (len(n) - 1)))
        return cls(product, deviation, product / float(np.sqrt(squares)), _rise(n, quantity))


def _is_clear(trends: list[_Trend]) -> bool:
    """Whether the trends of some cells together are no accident."""
    total = sum(trend.covariance for trend in trends)
    deviation = float(np.sqrt(sum(trend.deviation**2 for trend in trends)))
    return deviation > 0 and total > CLEAR * deviation


def _centred_ranks(values: FloatArray) -> FloatArray:
    """Ranks, those of equal values averaged, less their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - 0.5 * (counts - 1))[place]
    return np.asarray(ranks - ranks.mean())


def _rise(n: FloatArray, risk: FloatArray) -> float:
    """Median risk of the largest sixth of n less that of the smallest; infinite risks are far."""
    low, high = np.quantile(n, [1 / 6, 5 / 6])
    finite = np.minimum(risk, FAR)
    return float(np.median(finite[n >= high]) - np.median(finite[n <= low]))
