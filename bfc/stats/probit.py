"""Probit regression by maximum likelihood, with clustered variances, and Fieller's interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bfc.stats.messages import describe_reason
from bfc.stats.outcomes import BoolArray, FloatArray
from bfc.stats.reasons import FewClusters, NoRegression, Reason

Z95 = 1.959963984540054
NEWTON_STEPS = 100
CONVERGED = 1e-10
SEPARATED_VALUE = 1e-6
"""Log likelihood per row above which successes and failures are taken as separated."""
LARGEST_CONDITION = 1e12


@dataclass(frozen=True)
class ProbitFit:
    """Coefficients (K,) and their covariance (K, K), clustered if clusters were given; NaN with a
    ``cause`` where there are none."""

    coefficients: FloatArray
    covariance: FloatArray
    cause: Reason = None

    @property
    def reason(self) -> str:
        """Why there are no coefficients, as a sentence; empty where there are."""
        return describe_reason(self.cause)


def fit_probit(
    design: FloatArray, success: BoolArray, clusters: NDArray[np.int64] | None = None
) -> ProbitFit:
    """Maximum-likelihood probit of ``success`` (N,) on ``design`` (N, K) by Newton's method.

    With ``clusters`` (N,) the covariance is the sandwich summed over clusters, times
    G/(G − 1) · (N − 1)/(N − K).
    """
    k = design.shape[1]
    cause = _find_obstacle(design, success)
    mode = None if cause is not None else _find_mode(design, success)
    if mode is None:
        return _without_answer(k, cause or NoRegression.SEPARATED)
    coefficients, mills, information = mode
    inverse = np.linalg.inv(information)
    if clusters is None:
        return ProbitFit(coefficients, inverse)
    count = len(np.unique(clusters))
    if count <= k:
        return _without_answer(k, FewClusters(count))
    scores = np.zeros((int(clusters.max()) + 1, k))
    np.add.at(scores, clusters, design * mills[:, None])
    rows = len(design)
    sandwich = inverse @ (scores.T @ scores) @ inverse
    covariance = sandwich * count / (count - 1) * (rows - 1) / (rows - k)
    return ProbitFit(coefficients, covariance)


def fieller_interval(
    top: float, bottom: float, var_top: float, var_bottom: float, covariance: float
) -> tuple[float, float]:
    """95 % interval of top/bottom, two jointly normal estimates.

    It is infinite where bottom cannot be told from zero.
    """
    a = bottom**2 - Z95**2 * var_bottom
    b = top * bottom - Z95**2 * covariance
    c = top**2 - Z95**2 * var_top
    if a <= 0 or b * b < a * c:
        return -np.inf, np.inf
    half = np.sqrt(b * b - a * c)
    return float((b - half) / a), float((b + half) / a)


def _find_obstacle(design: FloatArray, success: BoolArray) -> NoRegression | None:
    if success.all():
        return NoRegression.ALL_SUCCEED if success.any() else NoRegression.ALL_FAIL
    if not success.any():
        return NoRegression.ALL_FAIL
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return NoRegression.COLLINEAR
    return None


def _find_mode(
    design: FloatArray, success: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Coefficients (K,), generalised residuals (N,) and information (K, K) at the mode; None where
    successes and failures are separated, so that there is none."""
    rows, k = design.shape
    sign = 2.0 * success - 1
    b = np.zeros(k)
    for _ in range(NEWTON_STEPS):
        eta = design @ b
        log_p = special.log_ndtr(sign * eta)
        value = log_p.sum()
        mills = sign * np.exp(-0.5 * eta**2 - 0.5 * np.log(2 * np.pi) - log_p)
        information = (design * (mills * (mills + eta))[:, None]).T @ design
        if value > -SEPARATED_VALUE * rows or np.linalg.cond(information) > LARGEST_CONDITION:
            return None
        step = np.linalg.solve(information, design.T @ mills)
        if np.abs(step).max() < CONVERGED * (1 + np.abs(b).max()):
            return b, mills, information
        least = value - 1e-9 * abs(value)
        while special.log_ndtr(sign * (design @ (b + step))).sum() < least:
            step = 0.5 * step
        b = b + step
    return None


def _without_answer(k: int, cause: Reason) -> ProbitFit:
    return ProbitFit(np.full(k, np.nan), np.full((k, k), np.nan), cause)
