"""Slope, spread, lapses and tails that the smooth cells of a sweep share, by maximum likelihood.

The curves of :mod:`bfc.stats.latent_threshold` need the slope b of log risk and the degrees of
freedom ν of the whole sweep (one cell of 16 trainings knows b to a fifth at best), and the checks
of :mod:`bfc.stats.smooth_cells` need predictions of the fitted model. Both come from here: one
optimum over (μ of every cell, b, s, λ) for each of a few ν, with exact gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from bfc.stats.latent_threshold import (
    ABOVE,
    BELOW,
    INSIDE,
    LatentModel,
    LatentThresholds,
    RiskWindow,
    stray_mass,
)
from bfc.stats.likelihood import GUESS, SMALLEST_MASS
from bfc.stats.outcomes import FloatArray

FREEDOMS = (3.0, 6.0, 30.0)
"""Candidates of ν: heavy tails, moderate ones and nearly a normal."""
SLOPE_RANGE = (0.1, 30.0)
SPREAD_RANGE = (0.02, 2.0)
LAPSE_RANGE = (1e-4, 0.35)
LAPSE_SCALE = 0.1
"""Scale of the exponential prior of λ."""


@dataclass(frozen=True)
class LatentFit:
    """The optimum: μ of every cell (D,) and what they share."""

    mu: FloatArray
    lapse: float
    model: LatentModel
    log_likelihood: float
    """Penalised and weighted."""


def fit_latent(
    cells: Sequence[LatentThresholds], weights: Sequence[FloatArray], starts: FloatArray
) -> LatentFit:
    """The most likely model of D cells; ``weights``: as many (N,); ``starts``: first guesses of
    log n*, (D,)."""
    data = _Observations.from_cells(cells, weights)
    slope = _guess_slope(cells)
    best: LatentFit | None = None
    for freedom in FREEDOMS:
        start = np.r_[starts, np.log(slope), np.log(0.35), np.log(0.02)]
        if best is not None:
            start = np.r_[best.mu, np.log([best.model.slope, best.model.spread, best.lapse])]
        ends = [np.log(ends) for ends in (SLOPE_RANGE, SPREAD_RANGE, LAPSE_RANGE)]
        optimum = optimize.minimize(
            data.penalised_loss,
            start,
            args=(freedom,),
            jac=True,
            method="L-BFGS-B",
            bounds=[(None, None)] * len(starts) + [tuple(pair) for pair in ends],
        )
        b, s, lapse = np.exp(optimum.x[-3:]).tolist()
        fit = LatentFit(optimum.x[:-3], lapse, LatentModel(b, freedom, s), -float(optimum.fun))
        if best is None or fit.log_likelihood > best.log_likelihood:
            best = fit
    assert best is not None
    return best


def predict_classes(fit: LatentFit, u: FloatArray, mu: float, window: RiskWindow) -> FloatArray:
    """Probabilities (N, 4) that a training at u ends below the window, in its lower half (a
    success), in its upper half, and above it."""
    ends = np.array([-window.low, 0.0, window.high]) / fit.model.slope
    beyond = special.stdtr(fit.model.freedom, (mu - u[:, None] - ends) / fit.model.spread)
    above_end = np.c_[np.ones(len(u)), beyond, np.zeros(len(u))]
    regular = above_end[:, :-1] - above_end[:, 1:]
    stray = np.array([0.5 * GUESS, 0.5 * GUESS, 0.5 * fit.lapse, 0.5 * fit.lapse])
    return np.asarray((1 - GUESS - fit.lapse) * regular + stray)


@dataclass(frozen=True)
class _Observations:
    """The trainings of all cells as one array each, (N,)."""

    u: FloatArray
    y: FloatArray
    side: NDArray[np.int64]
    cell: NDArray[np.int64]
    weight: FloatArray
    guess: FloatArray
    lapse: FloatArray

    @classmethod
    def from_cells(
        cls, cells: Sequence[LatentThresholds], weights: Sequence[FloatArray]
    ) -> _Observations:
        strays = [stray_mass(cell, np.arange(len(cell.u))) for cell in cells]
        return cls(
            u=np.concatenate([cell.u for cell in cells]),
            y=np.concatenate([cell.y for cell in cells]),
            side=np.concatenate([cell.side for cell in cells]),
            cell=np.repeat(np.arange(len(cells)), [len(cell.u) for cell in cells]),
            weight=np.concatenate(list(weights)),
            guess=np.concatenate([guess for guess, _ in strays]),
            lapse=np.concatenate([lapse for _, lapse in strays]),
        )

    def penalised_loss(self, parameters: FloatArray, freedom: float) -> tuple[float, FloatArray]:
        """Minus the log likelihood with the prior of λ, and its gradient."""
        mu, (b, s, lapse) = parameters[:-3], np.exp(parameters[-3:])
        z = (self.u + self.y / b - mu[self.cell]) / s
        log_norm = special.gammaln(0.5 * (freedom + 1)) - special.gammaln(0.5 * freedom)
        log_norm -= 0.5 * np.log(freedom * np.pi)
        density = np.exp(log_norm - 0.5 * (freedom + 1) * np.log1p(z**2 / freedom))
        inside = self.side == INSIDE
        mass = np.where(inside, density / (b * s), 0.0)
        for side in (BELOW, ABOVE):
            chosen = self.side == side
            mass[chosen] = special.stdtr(freedom, -side * z[chosen])
        d_mass = np.where(
            inside,
            -mass * (freedom + 1) * z / (freedom + z**2),
            -self.side * density,
        )
        """Change of the mass with z."""
        regular = 1 - GUESS - lapse
        p = np.maximum(GUESS * self.guess + lapse * self.lapse + regular * mass, SMALLEST_MASS)
        rate = self.weight * regular / p
        by_z = rate * d_mass
        slopes = np.bincount(self.cell, by_z, minlength=len(mu)) / -s
        by_b = np.sum(by_z * -self.y / (b * s)) - np.sum(rate[inside] * mass[inside])
        by_s = np.sum(by_z * -z) - np.sum(rate[inside] * mass[inside])
        by_lapse = lapse * np.sum(self.weight * (self.lapse - mass) / p) - lapse / LAPSE_SCALE
        value = np.sum(self.weight * np.log(p)) - lapse / LAPSE_SCALE
        return -float(value), -np.r_[slopes, by_b, by_s, by_lapse]


def _guess_slope(cells: Sequence[LatentThresholds]) -> float:
    """Fall of y with u inside the windows, pooled over cells by least squares; positive."""
    products = squares = 0.0
    for cell in cells:
        inside = cell.is_inside
        x = cell.u[inside] - cell.u[inside].mean()
        products -= float(x @ cell.y[inside])
        squares += float(x @ x)
    slope = products / squares if squares > 0 else 1.0
    return float(np.clip(slope, 0.5, 10.0))
