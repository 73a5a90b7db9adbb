"""The exponent of n* against d with an honest interval: all cells enter through their likelihood
curves, so that censored cells count for what they say, and a random effect τ stands for what no
number of seeds can average out, finite-d scatter and uneven tuning.

Model. μ_d = a + α (log d − centre) + v_d, v_d ~ N(0, τ²), τ ~ HalfNormal(0.2), flat a and α; the
outcomes of cell d have the likelihood ℓ_d(μ_d; s, λ) with s and λ shared by all cells. v_d is
integrated by one convolution per cell and τ, (a, α) on a grid that zooms in on the mass of every τ,
and (s, λ) over their nodes; the interval is made of posterior quantiles. Where the data leave α
open on one side, the other end is a likelihood bound and no exponent is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import special

from bfc.stats.likelihood import (
    DROP,
    EDGES,
    OFFSETS,
    POINTS,
    PRIOR,
    SPREADS,
    STEPS,
    Curve,
    quantiles,
)

TAU_SCALE = 0.2
TAUS = np.array([0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.27, 0.35, 0.45, 0.6, 0.9])
WIDE = 9
"""The τ of the first look at the plane, wide enough that no peak falls between its points."""
LOWEST, HIGHEST = -10.0, 20.0
"""Range of the flat prior of α; where the posterior reaches an end, α is open on that side."""
SLOPES, LEVELS = 27, 21
FIRST = 91, 61
"""Slopes and levels of the first look."""
DEPTH = 14.0
"""Points further than this below the maximum (in log density) carry no mass."""
NODE_DEPTH = 10.0


@dataclass(frozen=True)
class Posterior:
    """What all cells say about the exponent. ``exponent`` is the median, (``lo``, ``hi``) the 95 %
    interval; NaN or infinite with a ``reason`` where the data give none. ``tau`` and ``spread``:
    (2.5, 50, 97.5 %) quantiles, no finer than their nodes."""

    exponent: float = np.nan
    lo: float = np.nan
    hi: float = np.nan
    reason: str = ""
    tau: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    spread: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    intercept: float = np.nan
    """Posterior mean of log n* at log d = ``centre``."""
    centre: float = np.nan
    nodes: np.ndarray | None = None
    """Posterior weight of every (s, λ), shape (S · L,)."""
    levels: np.ndarray | None = None
    """Points of a, (T, P), of ``slopes`` (T, P) and their ``weights`` (T, P), which sum to one."""
    slopes: np.ndarray | None = None
    weights: np.ndarray | None = None

    def line(self, d: np.ndarray) -> np.ndarray:
        """2.5, 50 and 97.5 % quantiles of the fitted line, log n* at ``d`` (K,) without the scatter
        τ: (K, 3); NaN without an exponent."""
        run = np.log(np.asarray(d, float)) - self.centre
        if self.weights is None or not np.isfinite(self.exponent):
            return np.full((len(run), 3), np.nan)
        level, slope, weight = (part.ravel() for part in (self.levels, self.slopes, self.weights))
        found = []
        for step in run:
            at = level + slope * step
            order = np.argsort(at)
            mass = np.cumsum(weight[order]) - 0.5 * weight[order]
            found.append(np.interp([0.025, 0.5, 0.975], mass, at[order]))
        return np.array(found)


def posterior(
    curves: Mapping[float, Curve],
    random_effect: bool = True,
    exponent: tuple[float, float] | None = None,
) -> Posterior:
    """Posterior of the power law n* ∝ d^α from d → :class:`Curve`.

    ``random_effect``: False fixes τ = 0. ``exponent``: mean and standard deviation of a normal
    prior of α, for planning only; the default is flat."""
    bracketed = [d for d, found in curves.items() if all(found.bounded)]
    if not bracketed:
        return Posterior(
            reason="n* is bracketed at no d: no exponent" if curves else "no d: no exponent"
        )
    if len(curves) < 2 and exponent is None:
        return Posterior(reason="one d: no exponent")
    x = np.log(np.array(list(curves)))
    centre = float(np.mean(np.log(bracketed)))
    taus, prior = tau_prior(random_effect)
    nodes, log_nodes = _likely_nodes(list(curves.values()))
    smooth = [smoothed(found, nodes) for found in curves.values()]
    scout = _scouts(nodes, list(curves.values()))
    tables = [table[:, :, scout] for table in smooth]
    box = _boxes(list(curves.values()), tables, x - centre, taus, exponent)
    level, slope = _points(box, SLOPES, LEVELS)
    index = [np.flatnonzero(TAUS == tau)[0] for tau in taus]
    total = (
        np.broadcast_to(log_nodes, (*level.shape, len(nodes)))
        + _slope_prior(slope, exponent)[..., None]
    )
    total = total + sum(
        at(table[index], found.centre, level + slope * (xd - centre))
        for table, found, xd in zip(smooth, curves.values(), x, strict=True)
    )
    area = (box[:, 1] - box[:, 0]).prod(1)
    total += (prior + np.log(area))[:, None, None]
    weights = np.exp(total - total.max())
    weights /= weights.sum()
    plane, shares = weights.sum(2), weights.sum((0, 1))
    all_nodes = np.zeros(
        len(PRIOR)
        if len(curves) and next(iter(curves.values())).values.shape[1] == len(PRIOR)
        else 1
    )
    all_nodes[nodes] = shares
    found = Posterior(
        tau=_discrete(taus, plane.sum(1)),
        spread=_spread(all_nodes),
        intercept=float((plane * level).sum()),
        centre=centre,
        nodes=all_nodes,
        levels=level,
        slopes=slope,
        weights=plane,
    )
    return replace(found, **_interval(box, plane, _limits(list(curves.values()))[0]))


def tau_prior(random_effect: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of τ and the logarithms of their prior weights, which sum to one."""
    if not random_effect:
        return TAUS[:1], np.zeros(1)
    width = np.gradient(TAUS)
    width[[0, -1]] /= 2
    log_weight = np.log(width) - 0.5 * (TAUS / TAU_SCALE) ** 2
    return TAUS, log_weight - special.logsumexp(log_weight)


def smoothed(found: Curve, nodes: np.ndarray) -> np.ndarray:
    """log ∫ exp ℓ(μ) N(μ; m, τ²) dμ at every m of the curve's grid: (T, POINTS, nodes)."""
    values = found.values[:, nodes]
    top = values.max(0)
    return np.log(np.maximum(_kernels() @ np.exp(values - top), 1e-300)) + top


def at(table: np.ndarray, centre: float, mu: np.ndarray) -> np.ndarray:
    """A table (T, POINTS, K) over the grid around ``centre``, linear between its points, at ``mu``
    (T, P) → (T, P, K)."""
    place = np.clip(
        (np.arcsinh((mu - centre) / OFFSETS_FINEST) - STEPS[0]) / (STEPS[1] - STEPS[0]),
        0,
        POINTS - 1 - 1e-9,
    )
    left = place.astype(int)
    share = (place - left)[..., None]
    row = np.arange(len(table))[:, None]
    return table[row, left] * (1 - share) + table[row, left + 1] * share


@cache
def _kernels() -> np.ndarray:
    """For every τ the mass that N(m, τ²) puts into each bin of the grid, (T, POINTS, POINTS); the
    same for every cell."""
    kernels = [np.eye(POINTS)]
    for tau in TAUS[1:]:
        z = (EDGES - OFFSETS[:, None]) / tau
        flip = z[:, :-1] + z[:, 1:] > 0
        kernels.append(
            special.ndtr(np.where(flip, -z[:, :-1], z[:, 1:]))
            - special.ndtr(np.where(flip, -z[:, 1:], z[:, :-1]))
        )
    return np.stack(kernels)


OFFSETS_FINEST = float(OFFSETS[POINTS // 2 + 1] / np.sinh(STEPS[POINTS // 2 + 1]))


def _likely_nodes(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (s, λ) whose best case is not hopeless, and their log prior."""
    best = np.sum([found.values.max(0) for found in curves], axis=0)
    prior = PRIOR if len(best) == len(PRIOR) else np.zeros(len(best))
    nodes = np.flatnonzero(best + prior > (best + prior).max() - NODE_DEPTH)
    return nodes, prior[nodes]


def _scouts(nodes: np.ndarray, curves: Sequence[Curve]) -> np.ndarray:
    """Positions in ``nodes`` of the best and of the widest credible one: the mass of all others
    lies where theirs does."""
    best = np.sum([found.values[:, nodes].max(0) for found in curves], axis=0)
    credible = np.flatnonzero(best > best.max() - 4)
    return np.unique([best.argmax(), credible[-1]])


def _slope_prior(slope: np.ndarray, exponent: tuple[float, float] | None) -> np.ndarray:
    return (
        np.zeros_like(slope)
        if exponent is None
        else -0.5 * ((slope - exponent[0]) / exponent[1]) ** 2
    )


def _points(box: np.ndarray, slopes: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Grid of every box (T, 2 ends, 2 of (level, slope)) as (T, slopes · levels) levels and slopes."""

    def line(part: int, count: int) -> np.ndarray:
        return box[:, 0, part, None] + (box[:, 1, part] - box[:, 0, part])[:, None] * np.linspace(
            0, 1, count
        )

    level, slope = np.broadcast_arrays(line(0, levels)[:, None, :], line(1, slopes)[:, :, None])
    return level.reshape(len(box), -1), slope.reshape(len(box), -1)


def _limits(curves: Sequence[Curve]) -> np.ndarray:
    """Ranges of (level, slope) as one box (1, 2, 2)."""
    centres = [found.centre for found in curves]
    return np.array([[[min(centres) - 6, LOWEST], [max(centres) + 6, HIGHEST]]])


def _boxes(
    curves: Sequence[Curve],
    smooth: Sequence[np.ndarray],
    x: np.ndarray,
    taus: np.ndarray,
    exponent: tuple[float, float] | None,
) -> np.ndarray:
    """For every τ the rectangle of (level, slope) that holds the mass, (T, 2, 2)."""
    centres = [found.centre for found in curves]
    box = _zoom(
        [table[WIDE : WIDE + 1] for table in smooth], centres, x, _limits(curves), *FIRST, exponent
    )
    tables = [table[[np.flatnonzero(TAUS == tau)[0] for tau in taus]] for table in smooth]
    box = np.repeat(box, len(taus), 0)
    for _ in range(8):
        smaller = _zoom(tables, centres, x, box, SLOPES, LEVELS, exponent)
        shrunk = ((smaller[:, 1] - smaller[:, 0]) / (box[:, 1] - box[:, 0])).min()
        box = smaller
        if shrunk > 0.8:
            break
    return box


def _zoom(
    tables: Sequence[np.ndarray],
    centres: Sequence[float],
    x: np.ndarray,
    box: np.ndarray,
    slopes: int,
    levels: int,
    exponent: tuple[float, float] | None,
) -> np.ndarray:
    level, slope = _points(box, slopes, levels)
    total = _slope_prior(slope, exponent)[..., None]
    for table, centre, xd in zip(tables, centres, x, strict=True):
        total = total + at(table, centre, level + slope * xd)
    total = total.max(2)
    kept = total > total.max(1, keepdims=True) - DEPTH
    step = (box[:, 1] - box[:, 0]) / [levels - 1, slopes - 1]
    ends = [
        np.stack(
            [
                np.where(kept, part, sign * np.inf).min(1)
                if sign > 0
                else np.where(kept, part, sign * np.inf).max(1)
                for part in (level, slope)
            ],
            1,
        )
        - sign * step
        for sign in (1, -1)
    ]
    return np.stack([np.maximum(ends[0], box[:, 0]), np.minimum(ends[1], box[:, 1])], 1)


def _interval(box: np.ndarray, plane: np.ndarray, limits: np.ndarray) -> dict[str, float | str]:
    """Median and 95 % interval of α from the mixture over τ. ``limits``: ends (2, 2) of the ranges
    of (level, slope)."""
    density = (
        plane.reshape(len(box), SLOPES, LEVELS) / ((box[:, 1] - box[:, 0]).prod(1))[:, None, None]
    )
    credible = density > np.exp(-6) * density.max()
    (down, low), (up, high) = (
        (
            bool(
                (
                    credible[:, :, end].any(1) & (np.abs(box[:, end, 0] - limits[end, 0]) < 1e-9)
                ).any()
            ),
            bool(
                (credible[:, end].any(1) & (np.abs(box[:, end, 1] - limits[end, 1]) < 1e-9)).any()
            ),
        )
        for end in (0, -1)
    )
    axes = np.linspace(box[:, 0, 1], box[:, 1, 1], SLOPES, axis=1)
    grid = np.unique(np.linspace(box[:, 0, 1], box[:, 1, 1], 8 * SLOPES + 1))
    with np.errstate(divide="ignore"):
        parts = np.log(np.maximum(density.sum(2) * (box[:, 1, 0] - box[:, 0, 0])[:, None], 1e-300))
    total = sum(
        np.exp(np.interp(grid, axis, part, left=-np.inf, right=-np.inf))
        for axis, part in zip(axes, parts, strict=True)
    )
    if not (down or low or up or high):
        lo, middle, hi = quantiles(grid, total, (0.025, 0.5, 0.975))
        return {"exponent": float(middle), "lo": float(lo), "hi": float(hi)}
    inside = grid[total >= total.max() * np.exp(-DROP)]
    lo, hi = -np.inf if low else float(inside[0]), np.inf if high else float(inside[-1])
    if low and high:
        found = "the data do not bound the exponent"
    elif low or high:
        found = f"the data bound the exponent on one side only: it is {'below' if low else 'above'} {hi if low else lo:.2g}"
    else:
        found = f"n* is hardly bracketed: an exponent from {lo:.2g} to {hi:.2g} is compatible with the data"
    return {"lo": lo, "hi": hi, "reason": found}


def _discrete(values: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """Quantiles of a quantity known at nodes."""
    mass = np.cumsum(weights) - 0.5 * weights
    return tuple(float(q) for q in np.interp([0.025, 0.5, 0.975], mass, values))


def _spread(nodes: np.ndarray) -> tuple[float, float, float]:
    return (
        _discrete(SPREADS, nodes.reshape(len(SPREADS), -1).sum(1))
        if len(nodes) > 1
        else (np.nan, np.nan, np.nan)
    )
