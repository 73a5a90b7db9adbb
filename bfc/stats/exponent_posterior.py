"""The exponent of n* against d with an honest interval.

All cells enter through their likelihood curves, so that censored cells count for what they say, and
a random effect τ stands for what no number of seeds can average out, finite-d scatter and uneven
tuning.

Model. μ_d = a + α (log d − centre) + v_d, v_d ~ N(0, τ²), τ ~ HalfNormal(0.2), flat a and α; the
outcomes of cell d have the likelihood ℓ_d(μ_d; s, λ) with s and λ shared by all cells. v_d is
integrated by one convolution per cell and τ, (a, α) on a grid that zooms in on the mass of every τ,
and (s, λ) over their nodes; the interval is made of posterior quantiles. Where the data leave α
open on one side, the other end is a likelihood bound and no exponent is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bfc.stats.likelihood import (
    DROP,
    LEVELS_95,
    SPREADS,
    LikelihoodCurve,
    density_quantiles,
)
from bfc.stats.messages import describe_reason
from bfc.stats.outcomes import BoolArray, FloatArray
from bfc.stats.plane_grid import LEVELS, SLOPES, SlopePrior, find_boxes, list_points, plane_limits
from bfc.stats.random_effect import TAUS, interpolate_table, smooth_over_tau, tau_prior
from bfc.stats.reasons import Interval, NoExponent, Reason, UnboundedExponent

NODE_DEPTH = 10.0
"""Nodes (s, λ) whose best case is further than this below the best one carry no mass."""
SCOUT_DEPTH = 4.0
CREDIBLE_DEPTH = 6.0
"""Fall of the log density from its maximum within which the mass may not touch a limit."""
SMALLEST_DENSITY = 1e-300
UNKNOWN: Interval = (np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class PosteriorGrid:
    """The posterior on its points: T nodes of τ, P points of (a, α) for each."""

    levels: FloatArray
    """Points of a, (T, P)."""
    slopes: FloatArray
    """Points of α, (T, P)."""
    weights: FloatArray
    """Their weights (T, P), which sum to one."""
    nodes: FloatArray
    """Posterior weight of every (s, λ), shape (S · L,)."""


@dataclass(frozen=True)
class Posterior:
    """What all cells say about the exponent.

    ``exponent`` is the median, (``lo``, ``hi``) the 95 % interval; NaN or infinite with a ``cause``
    where the data give none. ``tau`` and ``spread``: (2.5, 50, 97.5 %) quantiles, no finer than
    their nodes.
    """

    exponent: float = np.nan
    lo: float = np.nan
    hi: float = np.nan
    cause: Reason = None
    """Why there is no exponent."""
    tau: Interval = UNKNOWN
    spread: Interval = UNKNOWN
    intercept: float = np.nan
    """Posterior mean of log n* at log d = ``centre``."""
    centre: float = np.nan
    grid: PosteriorGrid | None = None

    @property
    def reason(self) -> str:
        """Why there is no exponent, as a sentence; empty where there is one."""
        return describe_reason(self.cause)

    def predict_line(self, d: FloatArray) -> FloatArray:
        """2.5, 50 and 97.5 % quantiles of the fitted line, log n* at ``d`` (K,) without the scatter
        τ: (K, 3); NaN without an exponent."""
        run = np.log(np.asarray(d, float)) - self.centre
        if self.grid is None or not np.isfinite(self.exponent):
            return np.full((len(run), 3), np.nan)
        level, slope = self.grid.levels.ravel(), self.grid.slopes.ravel()
        weight = self.grid.weights.ravel()
        quantiles = []
        for step in run:
            mu = level + slope * step
            order = np.argsort(mu)
            mass = np.cumsum(weight[order]) - 0.5 * weight[order]
            quantiles.append(np.interp(LEVELS_95, mass, mu[order]))
        return np.array(quantiles)


def fit_posterior(
    curves: Mapping[float, LikelihoodCurve],
    random_effect: bool = True,
    exponent: tuple[float, float] | None = None,
) -> Posterior:
    """Posterior of the power law n* ∝ d^α from d → :class:`LikelihoodCurve`.

    ``random_effect``: False fixes τ = 0. ``exponent``: mean and standard deviation of a normal
    prior of α, for planning only; the default is flat.
    """
    bracketed = [d for d, curve in curves.items() if all(curve.bounded)]
    if not bracketed:
        return Posterior(cause=NoExponent.NOT_BRACKETED if curves else NoExponent.NO_D)
    if len(curves) < 2 and exponent is None:
        return Posterior(cause=NoExponent.ONE_D)
    centre = float(np.mean(np.log(bracketed)))
    x = np.log(np.array(list(curves))) - centre
    cells = list(curves.values())
    taus, log_taus = tau_prior(random_effect)
    nodes, log_nodes = _find_likely_nodes(cells)
    tables = [smooth_over_tau(cell, nodes) for cell in cells]
    scouts = _choose_scouts(nodes, cells)
    slope_prior = SlopePrior(exponent)
    centres = [cell.centre for cell in cells]
    box = find_boxes([table[:, :, scouts] for table in tables], centres, x, taus, slope_prior)
    level, slope = list_points(box, SLOPES, LEVELS)
    total = np.broadcast_to(log_nodes, (*level.shape, len(nodes)))
    total = total + slope_prior.log_density(slope)[..., None]
    total = total + _sum_cells(tables, centres, x, level, slope, taus)
    area = (box[:, 1] - box[:, 0]).prod(1)
    total += (log_taus + np.log(area))[:, None, None]
    weights = np.exp(total - total.max())
    weights /= weights.sum()
    plane = weights.sum(2)
    node_weights = np.zeros(cells[0].values.shape[1])
    node_weights[nodes] = weights.sum((0, 1))
    bounds = _bound_exponent(box, plane, plane_limits(centres)[0])
    return Posterior(
        exponent=bounds.exponent,
        lo=bounds.lo,
        hi=bounds.hi,
        cause=bounds.cause,
        tau=_node_quantiles(taus, plane.sum(1)),
        spread=_spread_quantiles(node_weights),
        intercept=float((plane * level).sum()),
        centre=centre,
        grid=PosteriorGrid(level, slope, plane, node_weights),
    )


def _sum_cells(
    tables: Sequence[FloatArray],
    centres: Sequence[float],
    x: FloatArray,
    level: FloatArray,
    slope: FloatArray,
    taus: FloatArray,
) -> FloatArray:
    """Log likelihood of all cells at the points (T, P), for every node: (T, P, nodes)."""
    index = [np.flatnonzero(TAUS == tau)[0] for tau in taus]
    total = np.zeros((*level.shape, tables[0].shape[2]))
    for table, centre, log_d in zip(tables, centres, x, strict=True):
        total += interpolate_table(table[index], centre, level + slope * log_d)
    return total


def _find_likely_nodes(cells: Sequence[LikelihoodCurve]) -> tuple[NDArray[np.int64], FloatArray]:
    """Nodes (s, λ) whose best case is not hopeless, and their log prior."""
    prior = cells[0].log_node_prior
    best = np.sum([cell.values.max(0) for cell in cells], axis=0)
    nodes = np.flatnonzero(best + prior > (best + prior).max() - NODE_DEPTH)
    return nodes, prior[nodes]


def _choose_scouts(nodes: NDArray[np.int64], cells: Sequence[LikelihoodCurve]) -> NDArray[np.int64]:
    """Positions in ``nodes`` of the best and of the widest credible one: the mass of all others
    lies where theirs does."""
    best = np.sum([cell.values[:, nodes].max(0) for cell in cells], axis=0)
    credible = np.flatnonzero(best > best.max() - SCOUT_DEPTH)
    return np.unique([best.argmax(), credible[-1]])


@dataclass(frozen=True)
class _ExponentBounds:
    exponent: float
    lo: float
    hi: float
    cause: UnboundedExponent | None = None


def _bound_exponent(box: FloatArray, plane: FloatArray, limits: FloatArray) -> _ExponentBounds:
    """Median and 95 % interval of α from the mixture over τ.

    ``box``: ends (T, 2, 2) of the rectangles of (level, slope); ``plane``: weights (T, P) on their
    points; ``limits``: ends (2, 2) of the ranges of (level, slope).
    """
    area = (box[:, 1] - box[:, 0]).prod(1)
    density = plane.reshape(len(box), SLOPES, LEVELS) / area[:, None, None]
    grid, marginal = _slope_density(box, density)
    credible = density > np.exp(-CREDIBLE_DEPTH) * density.max()
    is_open_low, is_open_high = (
        _touches(credible[:, end, :], box[:, end, 1], limits[end, 1]) for end in (0, -1)
    )
    level_is_open = any(
        _touches(credible[:, :, end], box[:, end, 0], limits[end, 0]) for end in (0, -1)
    )
    if not (is_open_low or is_open_high or level_is_open):
        lo, median, hi = density_quantiles(grid, marginal, LEVELS_95).tolist()
        return _ExponentBounds(median, lo, hi)
    inside = grid[marginal >= marginal.max() * np.exp(-DROP)]
    lo = -np.inf if is_open_low else float(inside[0])
    hi = np.inf if is_open_high else float(inside[-1])
    return _ExponentBounds(np.nan, lo, hi, UnboundedExponent(lo, hi))


def _touches(credible: BoolArray, ends: FloatArray, limit: float) -> bool:
    """Whether credible points (T, K) at one edge of the rectangles lie at the limit of the range,
    where ``ends`` (T,) are the places of that edge."""
    return bool((credible.any(1) & (np.abs(ends - limit) < 1e-9)).any())


def _slope_density(box: FloatArray, density: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Marginal density of α, known up to a factor, on an increasing grid."""
    axes = np.linspace(box[:, 0, 1], box[:, 1, 1], SLOPES, axis=1)
    grid = np.unique(np.linspace(box[:, 0, 1], box[:, 1, 1], 8 * SLOPES + 1))
    height = (box[:, 1, 0] - box[:, 0, 0])[:, None]
    log_parts = np.log(np.maximum(density.sum(2) * height, SMALLEST_DENSITY))
    total = np.zeros(len(grid))
    for axis, log_part in zip(axes, log_parts, strict=True):
        total += np.exp(np.interp(grid, axis, log_part, left=-np.inf, right=-np.inf))
    return grid, total


def _node_quantiles(values: FloatArray, weights: FloatArray) -> Interval:
    """2.5, 50 and 97.5 % quantiles of a quantity known at nodes."""
    mass = np.cumsum(weights) - 0.5 * weights
    lo, median, hi = np.interp(LEVELS_95, mass, values).tolist()
    return lo, median, hi


def _spread_quantiles(nodes: FloatArray) -> Interval:
    """The same of s, from the weights of the nodes (s, λ)."""
    if len(nodes) == 1:
        return UNKNOWN
    return _node_quantiles(SPREADS, nodes.reshape(len(SPREADS), -1).sum(1))
