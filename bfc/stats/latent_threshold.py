"""What one cell says about its n* where risk falls smoothly in n: how far every risk is from eps.

The binary likelihood of :mod:`bfc.stats.likelihood` only asks on which side of eps a risk lies, so
a training far from n* tells it nothing. Here log risk is taken as a line in log n near eps, with
the slope −b, so that a risk also says by how much its training missed or exceeded its threshold.
The module exists apart from the choice of cells (:mod:`bfc.stats.smooth_cells`) because the model
can be checked against closed forms and the choice only against simulations.

Model. With y = log(risk/eps) a training at u = log n has the latent threshold T = u + y/b, and T =
μ + s · t, t Student with ν degrees of freedom; μ = log n*, b the same for all trainings of a cell,
s and λ as in the binary likelihood. Inside a window −w_low ≤ y ≤ w_high the density of y counts,
(1 − γ − λ) f((T − μ)/s)/(b s); beyond it only the side, with the probability that T lies beyond
u − w_low/b or u + w_high/b: a doubly censored regression (Tobin 1958) with Student errors. A lapse
lies above eps, with equal chances within the window (uniformly) or beyond it, a lucky guess below
likewise. As the window closes this becomes the binary likelihood, but for the half of the lapses
and guesses that lie within. Failures whose risk is no measure of the lack of data (diverged, stuck,
on a plateau) count by their side of eps alone. Trainings that share a seed count with a weight
below one, see :mod:`bfc.stats.seed_correlation`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bfc.stats.likelihood import (
    CHUNK,
    GUESS,
    LAPSES,
    OFFSETS,
    POINTS,
    SMALLEST_MASS,
    SPREADS,
    LikelihoodCurve,
)
from bfc.stats.outcomes import UNFINISHED, FloatArray, Outcome, is_in
from bfc.stats.training_table import TrainingTable

BELOW, INSIDE, ABOVE = -1, 0, 1
"""Sides of the window."""
UNMEASURED_FAILURES = frozenset({*UNFINISHED, Outcome.PLATEAU, Outcome.DIVERGED})
"""Failures whose risk does not say how many labels they lack."""
LOG_SLOPE_SD = 0.25
"""Scatter of log b of single cells around that of the sweep, before a cell's data are seen."""
LOG_SLOPE_STEPS = np.linspace(-2, 2, 7) * LOG_SLOPE_SD
CENTRAL_STEP = len(LOG_SLOPE_STEPS) // 2
LIKELY_SPREADS = 3.0
"""Nodes of s further than this factor from the fitted one carry no mass: b is not integrated there.
"""


@dataclass(frozen=True)
class RiskWindow:
    """How far log risk may lie from log eps and count by its size, in log risk, both positive."""

    low: float
    high: float


@dataclass(frozen=True)
class LatentThresholds:
    """N trainings of one cell as a censored regression sees them; arrays of shape (N,)."""

    u: FloatArray
    """log n"""
    y: FloatArray
    """log(risk/eps) inside the window, else the end of the window (0 where only the side of eps
    counts)."""
    side: NDArray[np.int64]
    """``BELOW``, ``INSIDE`` or ``ABOVE``."""
    seed: NDArray[np.int64]
    window: RiskWindow
    measured: NDArray[np.bool_]
    """False where only the side of eps counts."""

    @property
    def is_inside(self) -> NDArray[np.bool_]:
        return np.asarray(self.side == INSIDE)


@dataclass(frozen=True)
class LatentModel:
    """What the cells of a sweep share: slope b > 0, degrees of freedom ν, and the fitted s."""

    slope: float
    freedom: float
    spread: float


def read_thresholds(table: TrainingTable, window: RiskWindow) -> LatentThresholds:
    """The trainings that count of a table of one cell."""
    rows = table.select(~table.excluded)
    with np.errstate(divide="ignore"):
        y = np.log(rows.risk / rows.eps)
    measured = (rows.success | ~is_in(rows.outcome, UNMEASURED_FAILURES)) & np.isfinite(y)
    side = np.where(y > window.high, ABOVE, np.where(y < -window.low, BELOW, INSIDE))
    side = np.where(measured, side, np.where(rows.success, BELOW, ABOVE))
    clipped = np.where(measured, np.clip(y, -window.low, window.high), 0.0)
    return LatentThresholds(rows.u, clipped, side, rows.seed, window, measured)


def sharpen_curve(
    thresholds: LatentThresholds, weights: FloatArray, model: LatentModel, centre: float
) -> tuple[LikelihoodCurve, FloatArray]:
    """ℓ(μ; s, λ) of one cell around ``centre``, b integrated out, and the log posterior of b.

    ``weights`` (N,): how much of an independent training each counts. log b is normal around that
    of ``model``; its log posterior, up to a constant, is that of the steps ``LOG_SLOPE_STEPS``
    (K,), with a flat prior of μ on the grid and the weights of (s, λ) at their maximum.
    """
    log_prior = -0.5 * (LOG_SLOPE_STEPS / LOG_SLOPE_SD) ** 2
    log_prior -= special.logsumexp(log_prior)
    central = log_likelihood(thresholds, weights, model.slope, model.freedom, centre)
    near = np.abs(np.log(SPREADS / model.spread)) <= np.log(LIKELY_SPREADS)
    by_slope = np.empty((len(LOG_SLOPE_STEPS), POINTS, int(near.sum()), len(LAPSES)))
    for i, step in enumerate(LOG_SLOPE_STEPS):
        if i == CENTRAL_STEP:
            by_slope[i] = central[:, near]
            continue
        slope = model.slope * np.exp(step)
        by_slope[i] = log_likelihood(
            thresholds, weights, slope, model.freedom, centre, SPREADS[near]
        )
    by_slope += log_prior[:, None, None, None]
    central[:, near] = special.logsumexp(by_slope, axis=0)
    return LikelihoodCurve(centre, central.reshape(POINTS, -1)), by_slope.max((1, 2, 3))


def log_likelihood(
    thresholds: LatentThresholds,
    weights: FloatArray,
    slope: float,
    freedom: float,
    centre: float,
    spreads: FloatArray = SPREADS,
) -> FloatArray:
    """log P(data | μ, s, λ, b) at μ = centre + OFFSETS for ``spreads`` (S,), weighted: (POINTS, S,
    L)."""
    mu = centre + OFFSETS
    values = np.zeros((POINTS, len(spreads), len(LAPSES)))
    step = max(1, CHUNK // (POINTS * len(spreads)))
    for side in (BELOW, INSIDE, ABOVE):
        at, guess, lapse_share, counts = _merge_equal(thresholds, weights, slope, side)
        for start in range(0, len(at), step):
            part = slice(start, start + step)
            z = (at[part, None, None] - mu[:, None]) / spreads
            mass = _student_mass(z, side, freedom)
            if side == INSIDE:
                mass = mass / (slope * spreads)
            for k, lapse in enumerate(LAPSES):
                stray = (GUESS * guess[part] + lapse * lapse_share[part])[:, None, None]
                p = np.maximum(stray + (1 - GUESS - lapse) * mass, SMALLEST_MASS)
                values[:, :, k] += np.einsum("i,ims->ms", counts[part], np.log(p))
    return values


def _merge_equal(
    thresholds: LatentThresholds, weights: FloatArray, slope: float, side: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """The trainings on one side of the window, those that say the same as one with their weights.

    Thresholds, shares of a guess and of a lapse, and weights, each (M,). Beyond the window only n
    counts, which many trainings share.
    """
    part = np.flatnonzero(thresholds.side == side)
    at = thresholds.u[part] + thresholds.y[part] / slope
    rows = np.stack([at, *stray_mass(thresholds, part)], axis=1)
    unique, place = np.unique(rows, axis=0, return_inverse=True)
    counts = np.bincount(place.ravel(), weights[part], minlength=len(unique))
    return unique[:, 0], unique[:, 1], unique[:, 2], counts.astype(float)


def stray_mass(
    thresholds: LatentThresholds, part: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """What a guess and a lapse contribute to the mass or density of some trainings, each (N,)."""
    side, y = thresholds.side[part], thresholds.y[part]
    whole = np.where(thresholds.measured[part], 0.5, 1.0)
    window = thresholds.window
    guess = np.where(side == BELOW, whole, np.where(y <= 0, 0.5 / window.low, 0.0))
    lapse = np.where(side == ABOVE, whole, np.where(y > 0, 0.5 / window.high, 0.0))
    return np.where(side == ABOVE, 0.0, guess), np.where(side == BELOW, 0.0, lapse)


def _student_mass(z: FloatArray, side: int, freedom: float) -> FloatArray:
    """Density of t at z, or its mass above or below."""
    if side == INSIDE:
        log_norm = special.gammaln(0.5 * (freedom + 1)) - special.gammaln(0.5 * freedom)
        log_norm -= 0.5 * np.log(freedom * np.pi)
        return np.asarray(np.exp(log_norm - 0.5 * (freedom + 1) * np.log1p(z**2 / freedom)))
    return np.asarray(special.stdtr(freedom, -side * z))
