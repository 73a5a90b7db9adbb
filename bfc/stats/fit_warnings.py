"""What is odd about a table of trainings that can be used, found after the fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from bfc.stats.cell_counts import CellCounts
from bfc.stats.exponent_posterior import Posterior
from bfc.stats.likelihood import LAPSES, SPREADS
from bfc.stats.nstar import Censored
from bfc.stats.outcomes import Outcome
from bfc.stats.reasons import (
    CensoredCells,
    DisagreeingExponents,
    DivergedTrainings,
    DroppedRows,
    Estimator,
    ExcludedTrainings,
    FarFailures,
    FitWarning,
    LuckyPlateaus,
    PossibleLapses,
    RiskRises,
    RoughRisk,
    SpreadAtEdge,
    UninformativeCells,
)
from bfc.stats.regressions import RegressionFit, estimates_disagree
from bfc.stats.training_table import TrainingTable

FAR = 4.0
"""Trainings with more than this many times n* should succeed."""
USUAL_LAPSES = 0.15
"""Share of them that may fail without a warning."""
FEWEST_FAR = 10
ROUGH_SDS = 3.0
"""Standard errors between n* and the crossing of the mean log risk from which risk is not smooth.
"""


def find_cell_oddities(table: TrainingTable, cell: CellCounts) -> Iterator[FitWarning]:
    """How a table of one d was read, which rows do not count as they stand, and whether risk
    rises."""
    yield from table.notices
    for reason, rows in table.dropped.items():
        yield DroppedRows(reason, rows)
    if cell.rises:
        yield RiskRises(())


def find_table_warnings(table: TrainingTable) -> Iterator[FitWarning]:
    """How the table was read, and rows that do not count as they stand."""
    yield from table.notices
    for reason, rows in table.dropped.items():
        yield DroppedRows(reason, rows)
    excluded = int(table.excluded.sum())
    if excluded:
        yield ExcludedTrainings(excluded)
    lapsed = int((table.limited & ~table.excluded).sum())
    if lapsed:
        yield PossibleLapses(lapsed)
    diverged = int((table.outcome == Outcome.DIVERGED.value).sum())
    if diverged:
        yield DivergedTrainings(diverged)


def find_cell_warnings(
    cells: Mapping[float, CellCounts], nstar: pd.DataFrame
) -> Iterator[FitWarning]:
    """Cells that are not in the exponent, or only bound it; ``nstar``: one row per d."""
    if rising := tuple(d for d, cell in cells.items() if cell.rises):
        yield RiskRises(rising)
    yield from _find_uninformative_cells(cells)
    for side in (Censored.RIGHT, Censored.LEFT):
        censored = nstar.loc[nstar["censored"] == side.value, "d"]
        dimensions = tuple(d for d in censored if cells[d].is_informative)
        if dimensions:
            yield CensoredCells(dimensions, side.value)


def find_disagreements(
    posterior: Posterior, nstar: pd.DataFrame, glm: RegressionFit, smooth: RegressionFit
) -> Iterator[FitWarning]:
    """Where a regression says something else than the likelihood."""
    exponent = (posterior.exponent, posterior.lo, posterior.hi)
    for estimator, fit in ((Estimator.PROBIT, glm), (Estimator.SMOOTH, smooth)):
        if estimates_disagree(exponent, fit.interval):
            yield DisagreeingExponents(exponent, fit.interval, estimator)
    if not len(smooth.nstar):
        return
    both = nstar.merge(smooth.nstar, on="d", suffixes=("", "_smooth"))
    for row in both[both["censored"] == Censored.NO.value].to_dict("records"):
        likelihood = _log_interval(row["nstar"], row["lo"], row["hi"])
        crossing = _log_interval(row["nstar_smooth"], row["lo_smooth"], row["hi_smooth"])
        if estimates_disagree(likelihood, crossing, z=ROUGH_SDS):
            yield RoughRisk(row["d"], row["nstar"], row["nstar_smooth"])


def find_model_warnings(
    table: TrainingTable, nstar: pd.DataFrame, posterior: Posterior
) -> Iterator[FitWarning]:
    """Where the data reach the edge of what the model allows."""
    nstar_by_d = dict(zip(nstar["d"], nstar["nstar"], strict=True))
    expected = np.array([nstar_by_d.get(d, np.inf) for d in table.d], dtype=float)
    far = table.select(~table.excluded & (table.u > np.log(FAR * expected)))
    if len(far.u) >= FEWEST_FAR:
        share = float(1 - far.success.mean())
        if share > USUAL_LAPSES:
            yield FarFailures(share, FAR, is_beyond_model=bool(share > LAPSES[-1]))
    lowest, _, highest = posterior.spread
    if lowest < SPREADS[1]:
        yield SpreadAtEdge(float(SPREADS[1]), is_below=True)
    elif highest > SPREADS[-2]:
        yield SpreadAtEdge(float(SPREADS[-2]), is_below=False)


def _find_uninformative_cells(cells: Mapping[float, CellCounts]) -> Iterator[FitWarning]:
    """Cells that say nothing about data, those that fail alike together."""
    groups: dict[UninformativeCells | LuckyPlateaus, list[float]] = {}
    for d, cell in cells.items():
        if cell.is_informative or cell.rises or not cell.failed:
            continue
        kind: UninformativeCells | LuckyPlateaus
        if cell.succeeded:
            kind = LuckyPlateaus((), cell.succeeded, cell.trainings)
        else:
            kind = UninformativeCells((), tuple(cell.failures))
        groups.setdefault(kind, []).append(d)
    for kind, dimensions in groups.items():
        yield replace(kind, dimensions=tuple(dimensions))


def _log_interval(nstar: float, lo: float, hi: float) -> tuple[float, float, float]:
    """Logarithms of an estimate and its ends, which may be zero."""
    middle, lower, upper = (float(np.log(max(value, 1e-300))) for value in (nstar, lo, hi))
    return middle, lower, upper
