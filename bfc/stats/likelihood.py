"""What one cell says about its n*: a likelihood curve ℓ(log n*) on a grid.

It needs no special case for cells that always or never succeed, and the exponent posterior, the
growth candidates and the placement of further trainings all read it.

Model. Every seed has a threshold T, the log n from which it succeeds: T ~ N(μ, s²) with μ = log n*,
except that a share λ (0 to 35 %) never succeeds and a share γ = 0.001 always does. So P(success at
n) = γ + (1 − γ − λ) Φ((log n − μ)/s), the psychometric function of a yes-no experiment. s and λ are
shared by the cells of a sweep; s has a log-normal prior around 0.35, and λ is small unless the data
say otherwise: trainings that are stuck whatever their n (``optimisation_limited``) are lapses, not
a lack of data.

Data. Every seed gives an interval of T, see :mod:`bfc.stats.cell_counts`. The mass of an interval
(lo, hi] is (1 − γ − λ)(Φ(hi) − Φ(lo)), plus λ where hi is infinite and γ where lo is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from bfc.stats.cell_counts import CellCounts
from bfc.stats.outcomes import BoolArray, FloatArray

GUESS = 1e-3
"""γ"""
LAPSES = np.array([0.0, 0.05, 0.15, 0.35])
LAPSE_WEIGHTS = np.array([1.0, 0.5, 0.25, 0.2])
SPREADS = np.geomspace(0.03, 1.6, 15)
SPREAD = 0.35
SPREAD_LOG_SD = 0.7


def _build_prior() -> FloatArray:
    log_density = -0.5 * (np.log(SPREADS[:, None] / SPREAD) / SPREAD_LOG_SD) ** 2
    prior = (log_density + np.log(LAPSE_WEIGHTS)).ravel()
    return np.asarray(prior - special.logsumexp(prior))


PRIOR = _build_prior()
"""Log prior of every node (s, λ), shape (S · L,)."""
FINEST = 0.01
REACH = 12.0
POINTS = 241
STEPS = np.linspace(-np.arcsinh(REACH / FINEST), np.arcsinh(REACH / FINEST), POINTS)
OFFSETS = FINEST * np.sinh(STEPS)
"""The grid of μ around a cell's centre: as fine as 0.0007 there, 6.5 % of the distance from it
further out."""
EDGES = np.concatenate([[-np.inf], 0.5 * (OFFSETS[1:] + OFFSETS[:-1]), [np.inf]])
DROP = 1.92
"""Fall of a log likelihood from its maximum to the end of a 95 % likelihood interval."""
LEVELS_95 = (0.025, 0.5, 0.975)
"""Levels of the lower end, the median and the upper end of a 95 % interval."""
SMALLEST_MASS = 1e-12
CHUNK = 4_000_000
"""Numbers that are held at once while a curve is summed."""


@dataclass(frozen=True)
class LikelihoodCurve:
    """ℓ(μ) of one cell at μ = ``centre`` + ``OFFSETS``, for every node (s, λ).

    ``values`` has the shape (POINTS, S · L), or (POINTS, 1) where there is one node. Beyond the
    grid ℓ is constant.
    """

    centre: float
    values: FloatArray

    @property
    def mu(self) -> FloatArray:
        return self.centre + OFFSETS

    @property
    def log_node_prior(self) -> FloatArray:
        """Log prior of the nodes, shape (nodes,)."""
        nodes = self.values.shape[1]
        return PRIOR if nodes == len(PRIOR) else np.zeros(nodes)

    @property
    def marginal(self) -> FloatArray:
        """ℓ(μ) of this cell alone, averaged over the prior of (s, λ), shape (POINTS,)."""
        return np.asarray(special.logsumexp(self.values + self.log_node_prior, axis=1))

    @property
    def bounded(self) -> tuple[bool, bool]:
        """Whether the data bound μ from below and from above."""
        marginal = self.marginal
        highest = marginal.max()
        return bool(highest - marginal[0] > DROP), bool(highest - marginal[-1] > DROP)


def likelihood_curve(cell: CellCounts) -> LikelihoodCurve:
    """ℓ of one cell on a grid around where its intervals balance."""
    (lo, hi), counts = np.unique(np.stack([cell.lo, cell.hi]), axis=1, return_counts=True)
    centre = _find_centre(cell)
    mu = centre + OFFSETS
    values = np.zeros((POINTS, len(SPREADS), len(LAPSES)))
    step = max(1, CHUNK // (POINTS * len(SPREADS)))
    for start in range(0, len(lo), step):
        part = slice(start, start + step)
        mass = _interval_mass(lo[part], hi[part], mu)
        floor = GUESS * np.isneginf(lo[part])[:, None] + np.isposinf(hi[part])[:, None] * LAPSES
        for k, lapse in enumerate(LAPSES):
            p = floor[:, k, None, None] + (1 - GUESS - lapse) * mass
            log_p = np.log(np.maximum(p, SMALLEST_MASS))
            values[:, :, k] += np.einsum("i,ims->ms", counts[part].astype(float), log_p)
    return LikelihoodCurve(centre, values.reshape(POINTS, -1))


def density_quantiles(
    x: FloatArray, density: FloatArray, levels: Sequence[float] | FloatArray
) -> FloatArray:
    """Quantiles of a density known up to a factor at increasing ``x`` (linear between points)."""
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(x))])
    return np.asarray(np.interp(np.asarray(levels) * mass[-1], mass, x))


def _interval_mass(lo: FloatArray, hi: FloatArray, mu: FloatArray) -> FloatArray:
    """Φ((hi − μ)/s) − Φ((lo − μ)/s) for intervals (I,) → (I, POINTS, S), without cancellation in
    the upper tail."""
    mass = np.empty((len(lo), len(mu), len(SPREADS)))
    below, above = np.isneginf(lo), np.isposinf(hi)
    both = ~below & ~above
    mass[below & above] = 1.0
    mass[below & ~above] = special.ndtr(_standardise(hi, below & ~above, mu))
    mass[above & ~below] = special.ndtr(-_standardise(lo, above & ~below, mu))
    low, high = _standardise(lo, both, mu), _standardise(hi, both, mu)
    flip = low + high > 0
    mass[both] = special.ndtr(np.where(flip, -low, high)) - special.ndtr(np.where(flip, -high, low))
    return mass


def _standardise(ends: FloatArray, chosen: BoolArray, mu: FloatArray) -> FloatArray:
    """(end − μ)/s of the chosen intervals, (chosen, POINTS, S)."""
    return np.asarray((ends[chosen, None, None] - mu[:, None]) / SPREADS)


def _find_centre(cell: CellCounts) -> float:
    """Where as many intervals end below as begin above: a first guess of μ, never infinite."""
    lo = np.sort(cell.lo[np.isfinite(cell.lo)])
    hi = np.sort(cell.hi[np.isfinite(cell.hi)])
    points = np.unique(np.concatenate([lo, hi]))
    if not len(points):
        return 0.5 * float(np.log(cell.tested).sum())
    middle = 0.5 * (points[1:] + points[:-1]) if len(points) > 1 else points
    balance = np.searchsorted(hi, middle) - (len(lo) - np.searchsorted(lo, middle))
    if balance[-1] < 0:
        return float(points[-1])
    if balance[0] > 0:
        return float(points[0])
    closest = np.abs(balance) == np.abs(balance).min()
    return float(0.5 * (middle[closest][0] + middle[closest][-1]))
