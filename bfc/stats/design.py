"""Where to put the next trainings of a cell: what smaller d say about its n*, what its own
trainings add, and the n to run next. Only planning uses these densities; what is reported comes
from the likelihood alone, so that a wrong plan costs trainings but does not bias a result.
Everything here is a deterministic function of its arguments, and a :class:`Density` is two plain
arrays, so that it can be frozen into a cell when the cell is submitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import integrate, special

from bfc.errors import UserError
from bfc.stats.exponent_posterior import posterior, tau_prior
from bfc.stats.likelihood import Curve, curve, quantiles, split_cells
from bfc.stats.training_table import judge_table

EXPONENT = (2.0, 2.0)
"""Mean and standard deviation of the prior of α, which matters while fewer than three d are known.
"""
GRID = 801


@dataclass(frozen=True)
class Density:
    """A density of μ = log n* at increasing ``mu`` (K,), linear between the points: ``pdf`` (K,),
    of integral one."""

    mu: np.ndarray
    pdf: np.ndarray

    def quantile(self, levels: np.ndarray | float) -> np.ndarray:
        return quantiles(self.mu, self.pdf, np.atleast_1d(levels))

    @property
    def mean(self) -> float:
        return float(integrate.trapezoid(self.mu * self.pdf, self.mu))

    @property
    def sd(self) -> float:
        """Standard deviation of log n*: the stop rule of a cell reads this."""
        return float(np.sqrt(integrate.trapezoid((self.mu - self.mean) ** 2 * self.pdf, self.mu)))


def density(mu: np.ndarray, log_pdf: np.ndarray) -> Density:
    """The normalised density of an unnormalised logarithm."""
    pdf = np.exp(log_pdf - log_pdf.max())
    return Density(mu, pdf / integrate.trapezoid(pdf, mu))


def wide(n_lo: float, n_hi: float) -> Density:
    """Where nothing is known: flat in log n from ``n_lo`` to ``n_hi``, falling off over a factor e
    beyond them."""
    if not 0 < n_lo < n_hi:
        raise UserError(f"n_lo={n_lo}, n_hi={n_hi}: must be 0 < n_lo < n_hi")
    lo, hi = np.log([n_lo, n_hi])
    mu = np.linspace(lo - 5, hi + 5, GRID)
    return density(mu, -np.maximum(lo - mu, 0) - np.maximum(mu - hi, 0))


def predictive(
    trainings_by_d: Mapping[float, pd.DataFrame],
    d_new: float,
    eps: float,
    exponent: tuple[float, float] = EXPONENT,
) -> Density | None:
    """Density of log n* at ``d_new`` from the trainings of other d (d → table as for
    :func:`bfc.stats.likelihood.estimate`), random effect included. None where no d brackets n*:
    then start :func:`wide`."""
    curves: dict[float, Curve] = {}
    for d in sorted(trainings_by_d):
        cell = next(
            iter(split_cells(judge_table(trainings_by_d[d].assign(d=float(d)), eps)).values()), None
        )
        if cell is not None and cell.bears and d > 0:
            curves[d] = curve(cell)
    found = posterior(curves, exponent=exponent)
    if found.weights is None or d_new <= 0:
        return None
    taus, _ = tau_prior()
    at = found.levels + found.slopes * (np.log(d_new) - found.centre)
    mean = float((found.weights * at).sum())
    sd = float(np.sqrt((found.weights * ((at - mean) ** 2 + taus[:, None] ** 2)).sum()))
    mu = np.linspace(mean - 7 * sd, mean + 7 * sd, GRID)
    step = mu[1] - mu[0]
    edges = np.concatenate([[-np.inf], 0.5 * (mu[1:] + mu[:-1]), [np.inf]])
    pdf = np.zeros(GRID)
    for tau, place, weight in zip(taus, at, found.weights, strict=True):
        share, _ = np.histogram(place, bins=edges, weights=weight)
        pdf += _normal_sum(share, step, max(tau, step))
    return density(mu, np.log(np.maximum(pdf, 1e-30 * pdf.max())))


def posterior_mu(rows: pd.DataFrame, prior: Density, eps: float) -> Density:
    """Density of log n* of one cell from its own trainings ``rows`` and what was known before, on
    the grid of ``prior`` extended by the cell's own. Without a row that counts it is the prior."""
    cell = next(iter(split_cells(judge_table(rows.assign(d=1.0), eps)).values()), None)
    if cell is None or not len(cell.lo):
        return prior
    found = curve(cell)
    near = (found.mu > prior.mu[0]) & (found.mu < prior.mu[-1])
    mu = np.union1d(prior.mu, found.mu[near])
    with np.errstate(divide="ignore"):
        before = np.log(np.interp(mu, prior.mu, prior.pdf))
    return density(mu, before + np.interp(mu, found.mu, found.marginal))


def place(
    pdf: Density, R: int, cost: Callable[[np.ndarray], np.ndarray] | None = None, z: float = 1.3
) -> np.ndarray:
    """R integers n ≥ 2, increasing and perhaps repeated, spread over the quantiles Φ(−z) … Φ(z) of
    ``pdf``, evenly in z.

    ``cost``: n → cost of a training (for instance n · steps); the density is then divided by √cost
    first, the allocation that minimises variance at given total cost, which matters only while
    ``pdf`` is wide."""
    if R < 1:
        raise UserError(f"R={R}: must be an integer >= 1")
    if cost is not None:
        with np.errstate(divide="ignore"):
            pdf = density(
                pdf.mu, np.log(pdf.pdf) - 0.5 * np.log(np.asarray(cost(np.exp(pdf.mu)), float))
            )
    levels = special.ndtr(np.linspace(-z, z, R)) if R > 1 else 0.5
    return np.maximum(np.rint(np.exp(pdf.quantile(levels))), 2).astype(np.int64)


def _normal_sum(share: np.ndarray, step: float, sd: float) -> np.ndarray:
    """Point masses ``share`` (K,) on a grid of spacing ``step``, each blurred to a normal density
    of width ``sd``."""
    reach = min(len(share) - 1, int(np.ceil(8 * sd / step)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / sd) ** 2)
    return np.convolve(share, kernel / (kernel.sum() * step))[reach : reach + len(share)]
