"""``trace_bound``: what a probe measured during a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from analysis.evidence import Evidence
from analysis.filters import select_trainings
from analysis.source import Source
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.estimates import SampleMedian

QUANTITY = "median of what a probe saw"
REDUCTIONS = {"first": "first", "last": "last", "largest": "max", "smallest": "min"}
"""Option ``at`` → the pandas reduction over a training."""


def trace_bound(
    evidence: Evidence,
    method: str,
    column: str,
    at: Literal["first", "last", "largest", "smallest"],
    where: Mapping[str, Any] | None = None,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> Measurement:
    """The median over seeds of a probe's column lies in a band, in every cell at the largest d.

    Its value at the first or last evaluation, or the largest or smallest over all.
    """
    rows = select_trainings(evidence, method, where)
    trace = evidence.traces
    if rows.empty or trace.empty or column not in trace:
        return not_run(f"no evaluation of {column} of {method}")
    cells = rows.loc[rows["d"] == rows["d"].max(), "cell_id"].unique()
    trace = trace[trace["cell_id"].isin(cells)].sort_values("step")
    values = trace.groupby(["cell_id", "seed"])[column].agg(REDUCTIONS[at]).dropna().astype(float)
    if values.empty:
        return not_run(f"no {column} of {method}")
    parts = [
        Part(SampleMedian(cell.to_numpy(), scale="either"), f"cell {cell_id}")
        for cell_id, cell in values.groupby("cell_id")
    ]
    source = Source.of(rows[rows["cell_id"].isin(values.index.get_level_values("cell_id"))])
    return Measurement(parts, at_least, at_most, source)
