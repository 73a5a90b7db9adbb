"""Where to put the next trainings of a cell.

What smaller d say about its n*, what its own trainings add, and the n to run next. Only planning
uses these densities; what is reported comes from the likelihood alone, so that a wrong plan costs
trainings but does not bias a result. Everything here is a deterministic function of its arguments,
and a :class:`Density` is two plain arrays, so that it can be frozen into a cell when the cell is
submitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import integrate, special

from bfc.errors import UserError
from bfc.stats.cell_counts import CellCounts, split_cells
from bfc.stats.exponent_posterior import Posterior, fit_posterior
from bfc.stats.likelihood import LikelihoodCurve, density_quantiles, likelihood_curve
from bfc.stats.outcomes import FloatArray
from bfc.stats.random_effect import tau_prior
from bfc.stats.training_table import build_training_table

EXPONENT = (2.0, 2.0)
"""Mean and standard deviation of the prior of α, which matters while fewer than three d are known.
"""
GRID_POINTS = 801
WIDE_MARGIN = 5.0
"""Log n by which the grid of a wide density goes beyond its flat part."""
PREDICTED_SDS = 7.0
"""Half width of the grid of a prediction, in standard deviations."""
KERNEL_SDS = 8.0
SMALLEST_DENSITY = 1e-30
"""Relative to the largest."""
Z_RANGE = 1.3
"""Sample sizes are spread over the quantiles Φ(−z) … Φ(z)."""
SMALLEST_N = 2


@dataclass(frozen=True)
class Density:
    """A density of μ = log n* at increasing ``mu`` (K,), linear between the points: ``pdf`` (K,),
    of integral one."""

    mu: FloatArray
    pdf: FloatArray

    def quantile(self, levels: ArrayLike) -> FloatArray:
        return density_quantiles(self.mu, self.pdf, np.atleast_1d(levels))

    @property
    def mean(self) -> float:
        return float(integrate.trapezoid(self.mu * self.pdf, self.mu))

    @property
    def sd(self) -> float:
        """Standard deviation of log n*: the stop rule of a cell reads this."""
        return float(np.sqrt(integrate.trapezoid((self.mu - self.mean) ** 2 * self.pdf, self.mu)))


def normalise_density(mu: FloatArray, log_pdf: FloatArray) -> Density:
    """The normalised density of an unnormalised logarithm."""
    pdf = np.exp(log_pdf - log_pdf.max())
    return Density(mu, pdf / integrate.trapezoid(pdf, mu))


def wide_density(n_lo: float, n_hi: float) -> Density:
    """Where nothing is known: flat in log n from ``n_lo`` to ``n_hi``, falling off over a factor e
    beyond them."""
    if not 0 < n_lo < n_hi:
        raise UserError(f"n_lo={n_lo}, n_hi={n_hi}: must be 0 < n_lo < n_hi")
    lo, hi = np.log([n_lo, n_hi])
    mu = np.linspace(lo - WIDE_MARGIN, hi + WIDE_MARGIN, GRID_POINTS)
    return normalise_density(mu, -np.maximum(lo - mu, 0) - np.maximum(mu - hi, 0))


def predict_density(
    trainings_by_d: Mapping[float, pd.DataFrame],
    d_new: float,
    eps: float,
    exponent: tuple[float, float] = EXPONENT,
) -> Density | None:
    """Density of log n* at ``d_new`` from the trainings of other d, random effect included.

    ``trainings_by_d``: d → table as for :func:`bfc.stats.nstar.estimate`. None where no d brackets
    n*: then start with :func:`wide_density`.
    """
    curves: dict[float, LikelihoodCurve] = {}
    for d in sorted(trainings_by_d):
        cell = _read_cell(trainings_by_d[d].assign(d=float(d)), eps)
        if cell is not None and cell.is_informative and d > 0:
            curves[d] = likelihood_curve(cell)
    posterior = fit_posterior(curves, exponent=exponent)
    if d_new <= 0:
        return None
    return _extrapolate(posterior, float(np.log(d_new)))


def update_density(rows: pd.DataFrame, prior: Density, eps: float) -> Density:
    """Density of log n* of one cell from its trainings ``rows`` and what was known before.

    Its grid is that of ``prior`` extended by the cell's own. Without a row that counts it is the
    prior.
    """
    cell = _read_cell(rows.assign(d=1.0), eps)
    if cell is None or not len(cell.lo):
        return prior
    curve = likelihood_curve(cell)
    is_inside = (curve.mu > prior.mu[0]) & (curve.mu < prior.mu[-1])
    mu = np.union1d(prior.mu, curve.mu[is_inside])
    with np.errstate(divide="ignore"):
        log_prior = np.log(np.interp(mu, prior.mu, prior.pdf))
    return normalise_density(mu, log_prior + np.interp(mu, curve.mu, curve.marginal))


def choose_sample_sizes(
    pdf: Density,
    count: int,
    cost: Callable[[FloatArray], FloatArray] | None = None,
    z: float = Z_RANGE,
) -> NDArray[np.int64]:
    """``count`` integers n ≥ 2, increasing and perhaps repeated, to train with.

    They are spread over the quantiles Φ(−z) … Φ(z) of ``pdf``, evenly in z. ``cost``: n → cost of a
    training (for instance n · steps); the density is then divided by √cost first, the allocation
    that minimises variance at given total cost, which matters only while ``pdf`` is wide.
    """
    if count < 1:
        raise UserError(f"count={count}: must be an integer >= 1")
    if cost is not None:
        with np.errstate(divide="ignore"):
            log_cost = np.log(np.asarray(cost(np.exp(pdf.mu)), float))
            pdf = normalise_density(pdf.mu, np.log(pdf.pdf) - 0.5 * log_cost)
    levels = special.ndtr(np.linspace(-z, z, count)) if count > 1 else 0.5
    sizes = np.rint(np.exp(pdf.quantile(levels)))
    return np.maximum(sizes, SMALLEST_N).astype(np.int64)


def _read_cell(trainings: pd.DataFrame, eps: float) -> CellCounts | None:
    """The one cell of a table; None where no row counts."""
    cells = split_cells(build_training_table(trainings, eps))
    return next(iter(cells.values()), None)


def _extrapolate(posterior: Posterior, log_d: float) -> Density | None:
    """Density of log n* at log d, the scatter τ of a new cell included."""
    grid = posterior.grid
    if grid is None:
        return None
    taus, _ = tau_prior()
    line = grid.levels + grid.slopes * (log_d - posterior.centre)
    mean = float((grid.weights * line).sum())
    variance = (grid.weights * ((line - mean) ** 2 + taus[:, None] ** 2)).sum()
    reach = PREDICTED_SDS * float(np.sqrt(variance))
    mu = np.linspace(mean - reach, mean + reach, GRID_POINTS)
    step = mu[1] - mu[0]
    edges = np.concatenate([[-np.inf], 0.5 * (mu[1:] + mu[:-1]), [np.inf]])
    pdf = np.zeros(GRID_POINTS)
    for tau, places, weight in zip(taus, line, grid.weights, strict=True):
        share, _ = np.histogram(places, bins=edges, weights=weight)
        pdf += _blur(share, step, max(tau, step))
    return normalise_density(mu, np.log(np.maximum(pdf, SMALLEST_DENSITY * pdf.max())))


def _blur(share: FloatArray, step: float, sd: float) -> FloatArray:
    """Point masses ``share`` (K,) on a grid of spacing ``step``, each blurred to a normal density
    of width ``sd``."""
    reach = min(len(share) - 1, int(np.ceil(KERNEL_SDS * sd / step)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / sd) ** 2)
    blurred = np.convolve(share, kernel / (kernel.sum() * step))
    return blurred[reach : reach + len(share)]
