"""``trace_bound``: what a probe measured during a training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api.typing import SeriesGroupBy

from analysis.evidence import Evidence, mark_diverged
from analysis.filters import select_trainings
from analysis.source import Source
from analysis.training_kinds import drop_confirming
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.estimates import SampleMedian

QUANTITY = "median over seeds"
Reduction = Literal["first", "last", "largest", "smallest"]
REDUCTIONS: Mapping[Reduction, Callable[[SeriesGroupBy], pd.Series]] = {
    "first": lambda evaluations: evaluations.head(1),
    "last": lambda evaluations: evaluations.tail(1),
    "largest": lambda evaluations: evaluations.max(),
    "smallest": lambda evaluations: evaluations.min(),
}
"""Option ``at`` → the value of every training, from its evaluations in the order of steps."""
TRAINING = ["cell_id", "seed"]


def trace_bound(
    evidence: Evidence,
    method: str,
    column: str,
    at: Reduction,
    where: Mapping[str, Any] | None = None,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> Measurement:
    """The median over seeds of a probe's column lies in a band, in every cell at the largest d.

    Its value at the first or last evaluation, or the largest or smallest over all. Of a training
    that diverged only the first one is known.
    """
    rows = select_trainings(evidence, method, where)
    trace = evidence.traces
    if rows.empty or trace.empty or column not in trace:
        return not_run(f"no evaluation of {column} of {method}")
    cells = rows.loc[rows["d"] == rows["d"].max(), "cell_id"].unique()
    rows = rows[rows["cell_id"].isin(cells)]
    values = _reduce_traces(trace, rows, column, at)
    if values.empty:
        return not_run(f"no {column} of {method}")
    parts = [
        Part(SampleMedian(cell.to_numpy(), scale="either"), f"cell {cell_id}")
        for cell_id, cell in values.groupby("cell_id")
    ]
    source = Source.of(rows[rows["cell_id"].isin(values.index.get_level_values("cell_id"))])
    return Measurement(parts, at_least, at_most, source)


def _reduce_traces(
    trace: pd.DataFrame, rows: pd.DataFrame, column: str, at: Reduction
) -> pd.Series:
    """One value per training, by cell and seed; NaN where it diverged."""
    evaluations = _select_evaluations(trace, rows).sort_values("step").set_index(TRAINING)
    by_training = evaluations[column].astype(float).groupby(level=TRAINING)
    values = REDUCTIONS[at](by_training).dropna()
    if at == "first":
        return values
    diverged = rows[mark_diverged(rows)].set_index(TRAINING).index
    known = values[~values.index.isin(diverged)]
    return pd.concat([known, pd.Series(float("nan"), index=diverged)])


def _select_evaluations(trace: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The evaluations of some trainings.

    On fresh samples the n of an evaluation is what the training had seen by then, and so only that
    of the last one is the n of the training.
    """
    trace = drop_confirming(trace)
    has_n = _find_rows(trace, rows, [*TRAINING, "n"])
    return trace[has_n | (trace["fresh"].astype(bool) & _find_rows(trace, rows, TRAINING))]


def _find_rows(trace: pd.DataFrame, rows: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Which rows of ``trace`` have the values of a row of ``rows`` in these columns."""
    selected = pd.MultiIndex.from_frame(rows[columns])
    is_selected: np.ndarray = pd.MultiIndex.from_frame(trace[columns]).isin(selected)
    return is_selected
