"""``trace_bound``: what a probe measured during a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd

from analysis.evidence import Evidence, mark_diverged
from analysis.filters import select_trainings
from analysis.source import Source
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.estimates import SampleMedian

QUANTITY = "median over seeds"
Reduction = Literal["first", "last", "largest", "smallest"]
REDUCTIONS: Mapping[Reduction, str] = {
    "first": "first",
    "last": "last",
    "largest": "max",
    "smallest": "min",
}
"""Option ``at`` → the pandas reduction over a training."""


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
    keys = ["cell_id", "seed"]
    trainings = rows.set_index([*keys, "n"])
    ordered = trace.set_index([*keys, "n"]).sort_values("step")
    ordered = ordered[ordered.index.isin(trainings.index)]
    values = ordered.groupby(level=keys)[column].agg(REDUCTIONS[at]).astype(float).dropna()
    if at == "first":
        return values
    diverged = rows[mark_diverged(rows)].set_index(keys).index
    known = values[~values.index.isin(diverged)]
    return pd.concat([known, pd.Series(float("nan"), index=diverged)])
