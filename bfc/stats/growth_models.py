"""Candidates for log n* as a function of d, each fitted to the likelihood curves of the cells.

Fitting. For every node (τ, s, λ) the posterior of the coefficients (flat prior) is taken as normal
around its mode (Laplace); nodes are weighted by prior times evidence. A hinge is fitted with every
inner d as its knot and averaged over knots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bfc.stats.exponent_posterior import PosteriorGrid
from bfc.stats.likelihood import OFFSETS, LikelihoodCurve
from bfc.stats.outcomes import FloatArray
from bfc.stats.random_effect import locate_on_grid, smooth_over_tau, tau_prior

FORMULAS = {
    "power": "a + α log {x}",
    "power_log": "a + α log {x} + δ log log {x}",
    "power_log2": "a + α log {x} + γ (log {x})²",
    "exponential": "a + b {x}",
    "mixed": "a + b {x} + α log {x}",
    "hinge": "a + α log {x} + δ min(log {x} − log k, 0)",
}
"""Candidate → log n* as a function of the swept size {x}."""
TERMS = {
    "power": "α",
    "power_log": "δ",
    "power_log2": "γ",
    "exponential": "b",
    "mixed": "b",
    "hinge": "δ",
}
"""The coefficient that tells a candidate from a power law (for a power law its exponent)."""
TERM_COLUMNS = {
    "power": 1,
    "power_log": 2,
    "power_log2": 2,
    "exponential": 1,
    "mixed": 1,
    "hinge": 2,
}
"""Its place among the coefficients."""
NODE_MASS = 0.99
"""Share of the posterior whose (s, λ) are kept."""
NEWTON_STEPS = 40
HALVINGS = 12
CONVERGED = 1e-6
JITTER = 1e-6
"""Added to the curvature, so that a flat likelihood has an inverse."""


@dataclass(frozen=True)
class LaplaceFit:
    """One design fitted: per node (N,) the mode (N, K), covariance (N, K, K), log evidence and log
    likelihood at the mode."""

    mode: FloatArray
    covariance: FloatArray
    evidence: FloatArray
    likelihood: FloatArray


@dataclass(frozen=True)
class BlurredCells:
    """Likelihood curves blurred by every τ, over the nodes N of (τ, s, λ)."""

    d: FloatArray
    """(D,)"""
    centres: FloatArray
    """Of the cells' grids, (D,)."""
    tables: FloatArray
    """Value, slope and curvature: (D, N, POINTS, 3)."""
    prior: FloatArray
    """Log prior of the nodes, (N,)."""

    def without_last(self) -> BlurredCells:
        return BlurredCells(self.d[:-1], self.centres[:-1], self.tables[:-1], self.prior)


def blur_cells(curves: Mapping[float, LikelihoodCurve], grid: PosteriorGrid) -> BlurredCells:
    """Tables over (τ, s, λ), keeping the (s, λ) that carry 99 % of the posterior."""
    taus, log_taus = tau_prior(random_effect=len(grid.levels) > 1)
    nodes = _choose_nodes(grid.nodes)
    tables = []
    for curve in curves.values():
        smoothed = smooth_over_tau(curve, nodes)[: len(taus)]
        value = smoothed.transpose(0, 2, 1).reshape(len(taus) * len(nodes), -1)
        slope = np.gradient(value, OFFSETS, axis=1)
        tables.append(np.stack([value, slope, np.gradient(slope, OFFSETS, axis=1)], 2))
    log_nodes = next(iter(curves.values())).log_node_prior[nodes]
    return BlurredCells(
        d=np.array(list(curves)),
        centres=np.array([curve.centre for curve in curves.values()]),
        tables=np.stack(tables),
        prior=(log_taus[:, None] + log_nodes).ravel(),
    )


def list_designs(name: str, d: FloatArray) -> list[FloatArray]:
    """Design matrices (D, K) of a candidate, one per knot for the hinge; empty if it is not defined
    on these d."""
    x = np.log(d)
    constant = np.ones(len(d))
    match name:
        case "power":
            return [np.stack([constant, x], 1)]
        case "power_log":
            return [np.stack([constant, x, np.log(x)], 1)] if x.min() > 0 else []
        case "power_log2":
            return [np.stack([constant, x, x * x], 1)]
        case "exponential":
            return [np.stack([constant, d], 1)]
        case "mixed":
            return [np.stack([constant, d, x], 1)]
        case _:
            return [np.stack([constant, x, np.minimum(x - knot, 0)], 1) for knot in x[1:-2]]


def fit_design(cells: BlurredCells, design: FloatArray) -> LaplaceFit:
    """The posterior of the coefficients of a design (D, K) at all nodes at once.

    The columns are orthonormalised meanwhile.
    """
    basis, triangle = np.linalg.qr(design)
    k = basis.shape[1]
    beta = _find_mode(cells, basis)
    value, _, curvature = _expand_likelihood(cells, basis, beta)
    curvature = curvature + JITTER * np.eye(k)
    inverse = np.linalg.inv(triangle)
    log_volume = 0.5 * np.linalg.slogdet(curvature)[1]
    evidence = value + cells.prior + 0.5 * k * np.log(2 * np.pi) - log_volume
    return LaplaceFit(
        mode=beta @ inverse.T,
        covariance=inverse @ np.linalg.inv(curvature) @ inverse.T,
        evidence=evidence - np.log(np.abs(np.linalg.det(triangle))),
        likelihood=value,
    )


def mixture_weights(fits: list[LaplaceFit]) -> FloatArray:
    """Posterior weight of every node and knot, in the order of the fits."""
    evidence = np.concatenate([fit.evidence for fit in fits])
    return np.asarray(np.exp(evidence - special.logsumexp(evidence)))


def _choose_nodes(weights: FloatArray) -> NDArray[np.int64]:
    order = np.argsort(weights)[::-1]
    count = np.searchsorted(np.cumsum(weights[order]), NODE_MASS) + 1
    return np.sort(order[:count])


def _find_mode(cells: BlurredCells, basis: FloatArray) -> FloatArray:
    """Coefficients (N, K) of the largest likelihood at every node, by damped Newton steps."""
    start = np.linalg.lstsq(basis, cells.centres, rcond=None)[0]
    beta = np.tile(start, (len(cells.prior), 1))
    for _ in range(NEWTON_STEPS):
        value, gradient, curvature = _expand_likelihood(cells, basis, beta)
        curvature = curvature + JITTER * np.eye(basis.shape[1])
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        step /= np.maximum(1.0, np.abs(step @ basis.T).max(1))[:, None]
        move = _damp_step(cells, basis, beta, step, value)
        beta = beta + move
        if np.abs(move).max() < CONVERGED:
            break
    return beta


def _damp_step(
    cells: BlurredCells, basis: FloatArray, beta: FloatArray, step: FloatArray, value: FloatArray
) -> FloatArray:
    """The step of every node, halved until the likelihood does not fall; zero if it always does.

    Only the nodes whose step is still too long are evaluated again.
    """
    scale = np.ones(len(beta))
    too_long = np.arange(len(beta))
    for _ in range(HALVINGS):
        moved = beta[too_long] + scale[too_long, None] * step[too_long]
        is_worse = _sum_likelihood(cells, basis, moved, too_long) < value[too_long] - 1e-9
        too_long = too_long[is_worse]
        if not len(too_long):
            break
        scale[too_long] /= 2
    scale[too_long] = 0.0
    return np.asarray(scale[:, None] * step)


def _sum_likelihood(
    cells: BlurredCells, basis: FloatArray, beta: FloatArray, nodes: NDArray[np.int64]
) -> FloatArray:
    """Log likelihood of all cells at the coefficients (M, K) of some nodes (M,): (M,)."""
    return np.asarray(_interpolate(cells, beta @ basis.T, nodes, slice(0, 1))[:, :, 0].sum(1))


def _expand_likelihood(
    cells: BlurredCells, basis: FloatArray, beta: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log likelihood (N,), its gradient (N, K) and its negative curvature (N, K, K), the concave
    part only."""
    values = _interpolate(cells, beta @ basis.T, np.arange(len(beta)), slice(0, 3))
    bend = np.maximum(-values[:, :, 2], 0.0)
    curvature = np.einsum("nd,di,dj->nij", bend, basis, basis)
    return values[:, :, 0].sum(1), values[:, :, 1] @ basis, curvature


def _interpolate(
    cells: BlurredCells, mu: FloatArray, nodes: NDArray[np.int64], parts: slice
) -> FloatArray:
    """Some parts of the tables of all cells at mu (M, D) for some nodes (M,): (M, D, parts)."""
    left, share = locate_on_grid(mu - cells.centres)
    tables, d = cells.tables[..., parts], np.arange(mu.shape[1])
    below, above = tables[d, nodes[:, None], left], tables[d, nodes[:, None], left + 1]
    return np.asarray(below * (1 - share[..., None]) + above * share[..., None])
