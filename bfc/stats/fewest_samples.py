"""Which of several methods needs the fewest samples, and with what probability.

The n* of every method has a posterior from its own trainings. They are taken to be independent:
trainings that share draws would make the comparison sharper, never less so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.integrate import trapezoid

from bfc.stats.cell_counts import count_cell
from bfc.stats.likelihood import likelihood_curve
from bfc.stats.nstar import posterior_density
from bfc.stats.outcomes import FloatArray
from bfc.stats.training_table import build_training_table

POINTS = 4001
"""Of the common grid of log n."""


def compare_methods(trainings: Mapping[str, pd.DataFrame], eps: float) -> dict[str, float]:
    """Method → probability that its n* at ``eps`` is the smallest.

    ``trainings``: of one cell per method, columns as for
    :func:`bfc.stats.training_table.build_training_table`. Methods none of whose trainings count, or
    whose risk rises with n, are left out; without any the result is empty.
    """
    posteriors: dict[str, tuple[FloatArray, FloatArray]] = {}
    for method, table in trainings.items():
        cell = count_cell(build_training_table(table, eps))
        if len(cell.lo) and not cell.rises:
            curve = likelihood_curve(cell)
            posteriors[method] = curve.mu, posterior_density(cell, curve)
    return compare_densities(posteriors)


def compare_densities(
    posteriors: Mapping[str, tuple[FloatArray, FloatArray]],
) -> dict[str, float]:
    """Name → probability that it is the smallest, of independent variables.

    ``posteriors``: increasing positions and the density there, known up to a factor. The
    probability is ∫ p_i Π_{j≠i} (1 − F_j), summed on a common grid.
    """
    if not posteriors:
        return {}
    grid = np.unique(np.concatenate([x for x, _ in posteriors.values()]))
    grid = np.unique(np.concatenate([grid, np.linspace(grid[0], grid[-1], POINTS)]))
    densities = {}
    tails = {}
    for name, (x, density) in posteriors.items():
        values = np.interp(grid, x, density, left=0.0, right=0.0)
        steps = 0.5 * (values[1:] + values[:-1]) * np.diff(grid)
        cumulative = np.concatenate([[0.0], np.cumsum(steps)])
        densities[name] = values / cumulative[-1]
        tails[name] = 1.0 - cumulative / cumulative[-1]
    weights = {}
    for name, density in densities.items():
        others = [tail for other, tail in tails.items() if other != name]
        weights[name] = float(trapezoid(density * np.prod(others, axis=0), grid))
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
