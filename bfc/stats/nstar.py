"""n* of one cell from its own trainings alone, with its interval and how it is censored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from bfc.stats.cell_counts import CellCounts, count_cell
from bfc.stats.likelihood import (
    DROP,
    LEVELS_95,
    LikelihoodCurve,
    density_quantiles,
    likelihood_curve,
)
from bfc.stats.outcomes import UNFINISHED, FloatArray, Outcome
from bfc.stats.training_table import build_training_table

COLUMNS = ("eps", "nstar", "lo", "hi", "censored", "outcome")
FALL_LENGTH = 1.0
"""Beyond the tested n the prior of a lone cell's μ falls by a factor e over this distance in log n.
"""
UNMEASURED = "unmeasured"
"""Stands for the outcome of a cell without a training that counts."""
RISK_RISES = "risk_rises"
"""Stands for the outcome of a cell where trainings with more samples do worse."""


class Censored(StrEnum):
    """On which side the data leave n* open; the values are columns of tables."""

    NO = ""
    RIGHT = "right"
    """n* is above the largest n."""
    LEFT = "left"
    """n* is below the smallest n."""


@dataclass(frozen=True)
class NStar:
    """The number of samples at which the median training reaches a relative risk of ``eps``.

    ``lo`` and ``hi`` bound the 95 % interval; all three are NaN where no training counts, or
    where risk rises with n.
    ``censored`` is empty, ``right`` (n* is above every n that was run, ``hi`` is infinite) or
    ``left`` (below every one, ``lo`` is 0).
    """

    eps: float
    value: float
    lo: float
    hi: float
    censored: Censored
    outcome: str

    def __str__(self) -> str:
        if np.isnan(self.value):
            return f"unknown ({self.outcome})"
        if self.censored == Censored.RIGHT:
            return f"> {self.lo:.0f} ({self.outcome})"
        if self.censored == Censored.LEFT:
            return f"< {self.hi:.0f}"
        return f"{self.value:.0f} [{self.lo:.0f}, {self.hi:.0f}]"

    __repr__ = __str__

    def as_row(self) -> dict[str, float | str]:
        """What is estimated, as columns of a table."""
        return {
            "nstar": self.value,
            "lo": self.lo,
            "hi": self.hi,
            "censored": self.censored.value,
            "outcome": self.outcome,
        }


def estimate(trainings: pd.DataFrame, eps: Sequence[float]) -> pd.DataFrame:
    """n* of one cell at every eps, one row per eps as given.

    ``trainings``: one row per training, columns as for
    :func:`bfc.stats.training_table.build_training_table`. The result has the columns ``eps, nstar,
    lo, hi, censored, outcome``. ``nstar`` is the posterior median and (``lo``, ``hi``) the 95 %
    interval, from this cell alone: μ has a flat prior over the tested n that falls off beyond them.

    ``censored``: empty where the data bound n* on both sides and its median lies within the tested
    n; ``right`` where they do not bound it from above or its median lies above the largest n, as it
    does where one lucky training succeeds (``nstar`` is the largest n, ``hi`` is infinite);
    ``left`` where they do not bound it from below or its median lies below the smallest n
    (``nstar`` is the smallest n, ``lo`` is 0). ``outcome``: ``success``, or for ``right`` the one
    outcome of all failures at the largest n (``plateau`` means: never by this method;
    ``data_limited`` where none fails there), ``mixed`` if they differ; ``optimisation_limited`` or
    ``unmeasured`` where no training counts, and ``risk_rises`` where trainings with more samples do
    worse, as with a score in place of a risk (``nstar`` is NaN for these).
    """
    rows = []
    for one_eps in eps:
        row = estimate_at(trainings, one_eps).as_row()
        rows.append({"eps": float(one_eps), **row})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def estimate_at(trainings: pd.DataFrame, eps: float) -> NStar:
    """n* of one cell at one eps; see :func:`estimate`."""
    return summarise_cell(trainings, eps).nstar


@dataclass(frozen=True)
class CellSummary:
    """What a table of one cell says about it at one eps.

    ``failures``: how the trainings at the largest n fail: outcome → count, empty if none fails.
    ``excluded``: optimisation-limited trainings that do not count.
    """

    nstar: NStar
    failures: Mapping[str, int]
    excluded: int


def summarise_cell(trainings: pd.DataFrame, eps: float) -> CellSummary:
    """n* of one cell at one eps, and how its trainings fail; see :func:`estimate`."""
    cell = count_cell(build_training_table(trainings, eps))
    return CellSummary(estimate_nstar(cell, eps), cell.failures, cell.excluded)


def estimate_nstar(cell: CellCounts, eps: float, curve: LikelihoodCurve | None = None) -> NStar:
    """n* of one cell from its counts at ``eps``; see :func:`estimate`.

    ``curve``: what its trainings say, where that is more than their successes and failures
    (:func:`bfc.stats.smooth_cells.choose_curves`); default the binary likelihood of ``cell``.
    """
    if not len(cell.lo):
        (unfinished,) = UNFINISHED
        outcome = unfinished.value if cell.excluded else UNMEASURED
        return NStar(eps, np.nan, np.nan, np.nan, Censored.NO, outcome)
    lo, median, hi = _bound_nstar(cell, likelihood_curve(cell) if curve is None else curve)
    if cell.rises:
        return NStar(eps, np.nan, np.nan, np.nan, Censored.NO, RISK_RISES)
    smallest, largest = cell.tested
    if median > largest:
        outcome = cell.failure_mode if cell.failures else Outcome.DATA_LIMITED.value
        return NStar(eps, largest, min(lo, largest), np.inf, Censored.RIGHT, outcome)
    if median < smallest:
        return NStar(eps, smallest, 0.0, max(hi, smallest), Censored.LEFT, Outcome.SUCCESS.value)
    return NStar(eps, median, lo, hi, Censored.NO, Outcome.SUCCESS.value)


def log_prior_outside(cell: CellCounts, mu: FloatArray) -> FloatArray:
    """Log prior of μ of a lone cell: flat over the tested n, falling off beyond them."""
    lo, hi = np.log(cell.tested)
    return np.asarray(-(np.maximum(lo - mu, 0) + np.maximum(mu - hi, 0)) / FALL_LENGTH)


def posterior_density(cell: CellCounts, curve: LikelihoodCurve) -> FloatArray:
    """The density of μ = log n* of a lone cell at ``curve.mu``, known up to a factor."""
    marginal = curve.marginal
    return np.asarray(np.exp(marginal - marginal.max() + log_prior_outside(cell, curve.mu)))


def _bound_nstar(cell: CellCounts, curve: LikelihoodCurve) -> tuple[float, float, float]:
    """Lower end, median and upper end; the median is infinite or zero where an end is open, and the
    other end then a likelihood bound."""
    marginal, mu = curve.marginal, curve.mu
    is_bounded_below, is_bounded_above = curve.bounded
    density = posterior_density(cell, curve)
    lo, median, hi = np.exp(density_quantiles(mu, density, LEVELS_95)).tolist()
    credible = np.flatnonzero(marginal >= marginal.max() - DROP)
    if not is_bounded_above or not cell.is_informative:
        return float(np.exp(mu[credible[0]])) if is_bounded_below else 0.0, np.inf, hi
    if not is_bounded_below:
        return lo, 0.0, float(np.exp(mu[credible[-1]]))
    return lo, median, hi
