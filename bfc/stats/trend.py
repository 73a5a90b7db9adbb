"""Whether risk rises with n, by ranks: then it is a score, or something else that n* cannot mean.

Every estimator here takes for granted that more samples do not hurt. A table for which that is
false (accuracies given as risks, trainings that break down at large n) would otherwise read as a
fact about the smallest or largest n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bfc.stats.outcomes import BoolArray, FloatArray

CLEAR = 3.3
"""Standard errors from which a trend is no accident (one-sided p = 0.0005)."""
CLOSE = 0.7
"""Rank correlation with n from which risk as a whole, and not success alone, counts as rising."""
LEAST_RISE = 0.05
"""Of the median risk from the smallest to the largest third of n, in units of Var f*."""

FAR = 1e6
"""Stands for the risk of a diverged training in a median."""


def find_rising_d(d: FloatArray, n: FloatArray, risk: FloatArray, eps: float) -> FloatArray:
    """The d, increasing, at which trainings with more samples do worse; arrays of shape (N,).

    They do where success (risk <= eps) becomes rarer with n, or risk follows n closely and rises by
    ``LEAST_RISE``: by the rank correlation of a d alone, or by all d together for those that
    follow the rest. Infinite risks (diverged trainings) count as the worst.
    """
    groups = [d == value for value in np.unique(d)]
    by_success = [_Trend.measure(n[rows], (risk[rows] > eps).astype(float)) for rows in groups]
    by_risk = [_Trend.measure(n[rows], risk[rows]) for rows in groups]
    success_rises, risk_rises = _is_clear(by_success), _is_clear(by_risk)
    rising = []
    for i, rows in enumerate(groups):
        follows = by_risk[i].correlation >= CLOSE and _rise(n[rows], risk[rows]) >= LEAST_RISE
        falls_out_of_success = success_rises[i] and by_success[i].covariance > 0
        if falls_out_of_success or (risk_rises[i] and follows):
            rising.append(float(d[rows][0]))
    return np.array(rising, dtype=float)


@dataclass(frozen=True)
class _Trend:
    """How the ranks of n and of a quantity go together at one d."""

    covariance: float
    deviation: float
    """Standard deviation of the covariance if they were unrelated (over permutations)."""
    correlation: float

    @classmethod
    def measure(cls, n: FloatArray, quantity: FloatArray) -> _Trend:
        x, y = _centred_ranks(n), _centred_ranks(quantity)
        product, squares = float(x @ y), float((x @ x) * (y @ y))
        if len(n) < 2 or squares == 0:
            return cls(0.0, 0.0, 0.0)
        return cls(product, float(np.sqrt(squares / (len(n) - 1))), product / np.sqrt(squares))


def _is_clear(trends: list[_Trend]) -> BoolArray:
    """Where a trend is clear by itself, or as one of all that are clear together."""
    total = sum(trend.covariance for trend in trends)
    deviation = float(np.sqrt(sum(trend.deviation**2 for trend in trends)))
    is_clear_overall = deviation > 0 and total > CLEAR * deviation
    clear = []
    for trend in trends:
        threshold = 0.0 if is_clear_overall else CLEAR * trend.deviation
        clear.append(trend.deviation > 0 and trend.covariance > threshold)
    return np.array(clear, dtype=bool)


def _centred_ranks(values: FloatArray) -> FloatArray:
    """Ranks, those of equal values averaged, less their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - 0.5 * (counts - 1))[place]
    return np.asarray(ranks - ranks.mean())


def _rise(n: FloatArray, risk: FloatArray) -> float:
    """Median risk of the largest third of n less that of the smallest; infinite risks are far."""
    low, high = np.quantile(n, [1 / 3, 2 / 3])
    finite = np.minimum(risk, FAR)
    return float(np.median(finite[n >= high]) - np.median(finite[n <= low]))
