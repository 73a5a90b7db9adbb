"""The grid of (level a, slope α) on which the posterior of the exponent is summed.

For every τ it zooms in on the rectangle that holds the mass, since a likelihood of many trainings
is far narrower than the range of the flat prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bfc.stats.outcomes import FloatArray
from bfc.stats.random_effect import TAUS, interpolate_table

WIDE = 9
"""Index of the τ of the first look at the plane, wide enough that no peak falls between its points.
"""
LOWEST = -10.0
HIGHEST = 20.0
"""Range of the flat prior of α; where the posterior reaches an end, α is open on that side."""
LEVEL_MARGIN = 6.0
"""The level ranges this far beyond the centres of the cells, in log n."""
SLOPES = 27
LEVELS = 21
FIRST_SLOPES = 91
FIRST_LEVELS = 61
DEPTH = 14.0
"""Points further than this below the maximum (in log density) carry no mass."""
ZOOMS = 8
SETTLED = 0.8
"""Zooming ends where no side shrinks below this share of its length."""


@dataclass(frozen=True)
class SlopePrior:
    """A normal prior of α (mean, standard deviation), or a flat one."""

    moments: tuple[float, float] | None

    def log_density(self, slope: FloatArray) -> FloatArray:
        """Up to a constant."""
        if self.moments is None:
            return np.zeros_like(slope)
        mean, sd = self.moments
        return np.asarray(-0.5 * ((slope - mean) / sd) ** 2)


def plane_limits(centres: Sequence[float]) -> FloatArray:
    """Ranges of (level, slope) as one box (1, 2 ends, 2)."""
    lowest, highest = min(centres) - LEVEL_MARGIN, max(centres) + LEVEL_MARGIN
    return np.array([[[lowest, LOWEST], [highest, HIGHEST]]])


def list_points(box: FloatArray, slopes: int, levels: int) -> tuple[FloatArray, FloatArray]:
    """The points of every box (T, 2 ends, 2 of (level, slope)).

    Their levels and slopes have the shape (T, slopes · levels).
    """
    level_axis, slope_axis = _axis(box, 0, levels), _axis(box, 1, slopes)
    level, slope = np.broadcast_arrays(level_axis[:, None, :], slope_axis[:, :, None])
    return level.reshape(len(box), -1), slope.reshape(len(box), -1)


def find_boxes(
    tables: Sequence[FloatArray],
    centres: Sequence[float],
    x: FloatArray,
    taus: FloatArray,
    prior: SlopePrior,
) -> FloatArray:
    """For every τ the rectangle of (level, slope) that holds the mass, (T, 2, 2).

    ``tables``: per cell the log likelihood (T, POINTS, nodes) over the grid around its centre;
    ``x``: log d of the cells, measured from the level's d.
    """
    first = [table[WIDE : WIDE + 1] for table in tables]
    box = _zoom(first, centres, x, plane_limits(centres), FIRST_SLOPES, FIRST_LEVELS, prior)
    index = [np.flatnonzero(TAUS == tau)[0] for tau in taus]
    chosen = [table[index] for table in tables]
    box = np.repeat(box, len(taus), 0)
    for _ in range(ZOOMS):
        smaller = _zoom(chosen, centres, x, box, SLOPES, LEVELS, prior)
        shrunk = ((smaller[:, 1] - smaller[:, 0]) / (box[:, 1] - box[:, 0])).min()
        box = smaller
        if shrunk > SETTLED:
            break
    return box


def _zoom(
    tables: Sequence[FloatArray],
    centres: Sequence[float],
    x: FloatArray,
    box: FloatArray,
    slopes: int,
    levels: int,
    prior: SlopePrior,
) -> FloatArray:
    """The part of every box (T, 2, 2) whose points carry mass, one step of the grid wider."""
    level, slope = list_points(box, slopes, levels)
    total = prior.log_density(slope)[..., None]
    for table, centre, log_d in zip(tables, centres, x, strict=True):
        total = total + interpolate_table(table, centre, level + slope * log_d)
    best = total.max(2)
    has_mass = best > best.max(1, keepdims=True) - DEPTH
    step = (box[:, 1] - box[:, 0]) / [levels - 1, slopes - 1]
    lowest = [np.where(has_mass, part, np.inf).min(1) for part in (level, slope)]
    highest = [np.where(has_mass, part, -np.inf).max(1) for part in (level, slope)]
    lo = np.maximum(np.stack(lowest, 1) - step, box[:, 0])
    hi = np.minimum(np.stack(highest, 1) + step, box[:, 1])
    return np.stack([lo, hi], 1)


def _axis(box: FloatArray, part: int, count: int) -> FloatArray:
    """Evenly spaced points between the ends of one side of every box, (T, count)."""
    start = box[:, 0, part, None]
    length = (box[:, 1, part] - box[:, 0, part])[:, None]
    return np.asarray(start + length * np.linspace(0, 1, count))
