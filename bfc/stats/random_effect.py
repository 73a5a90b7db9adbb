"""The scatter of log n* over d, τ ~ HalfNormal(0.2), integrated out of likelihood curves."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bfc.stats.likelihood import EDGES, OFFSETS, POINTS, STEPS, LikelihoodCurve
from bfc.stats.outcomes import FloatArray

TAU_SCALE = 0.2
TAUS = np.array([0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.27, 0.35, 0.45, 0.6, 0.9])
SMALLEST_LIKELIHOOD = 1e-300
_SCALE = float(OFFSETS[POINTS // 2 + 1] / np.sinh(STEPS[POINTS // 2 + 1]))
"""The offsets are this times sinh of evenly spaced steps."""


def tau_prior(random_effect: bool = True) -> tuple[FloatArray, FloatArray]:
    """Nodes of τ and the logarithms of their prior weights, which sum to one.

    ``random_effect``: False leaves τ = 0 alone.
    """
    if not random_effect:
        return TAUS[:1], np.zeros(1)
    width = np.gradient(TAUS)
    width[[0, -1]] /= 2
    log_weight = np.log(width) - 0.5 * (TAUS / TAU_SCALE) ** 2
    return TAUS, log_weight - special.logsumexp(log_weight)


def smooth_over_tau(curve: LikelihoodCurve, nodes: NDArray[np.int64]) -> FloatArray:
    """log ∫ exp ℓ(μ) N(μ; m, τ²) dμ at every m of the curve's grid: (T, POINTS, nodes)."""
    values = curve.values[:, nodes]
    top = values.max(0)
    smoothed = _tau_kernels() @ np.exp(values - top)
    return np.asarray(np.log(np.maximum(smoothed, SMALLEST_LIKELIHOOD)) + top)


def interpolate_table(table: FloatArray, centre: float, mu: FloatArray) -> FloatArray:
    """A table (T, POINTS, K) over the grid around ``centre``, linear between its points, at ``mu``
    (T, P) → (T, P, K)."""
    left, share = locate_on_grid(mu - centre)
    row = np.arange(len(table))[:, None]
    below, above = table[row, left], table[row, left + 1]
    return np.asarray(below * (1 - share[..., None]) + above * share[..., None])


def locate_on_grid(offsets: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """The point of the grid to the left of every offset, and how far it lies towards the next.

    Both have the shape of ``offsets``; those beyond the grid lie at its ends.
    """
    steps = np.arcsinh(offsets / _SCALE)
    position = np.clip((steps - STEPS[0]) / (STEPS[1] - STEPS[0]), 0, POINTS - 1 - 1e-9)
    left = position.astype(np.int64)
    return left, np.asarray(position - left)


@cache
def _tau_kernels() -> FloatArray:
    """For every τ the mass that N(m, τ²) puts into each bin of the grid, (T, POINTS, POINTS); the
    same for every cell."""
    kernels = [np.eye(POINTS)]
    for tau in TAUS[1:]:
        z = (EDGES - OFFSETS[:, None]) / tau
        low, high = z[:, :-1], z[:, 1:]
        flip = low + high > 0
        upper = special.ndtr(np.where(flip, -low, high))
        kernels.append(upper - special.ndtr(np.where(flip, -high, low)))
    return np.stack(kernels)
