"""``trace_bound``: what a probe saw during a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from analysis.evidence import Evidence, Finding, judge_interval, no_data
from analysis.filters import select_trainings
from analysis.risks import compute_median_interval

QUANTITY = "median of what a probe saw"


def trace_bound(
    evidence: Evidence,
    method: str,
    column: str,
    at: Literal["first", "last", "largest", "smallest"],
    where: Mapping[str, Any] | None = None,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> Finding:
    """The median over seeds of a probe's column at the first or last look, or at its largest or
    smallest over all looks, lies in a band; at the largest d."""
    rows = select_trainings(evidence, method, where)
    looks = evidence.traces
    if rows.empty or looks.empty or column not in looks:
        return no_data(f"no look at {column} of {method}")
    cells = rows.loc[rows["d"] == rows["d"].max(), "cell_id"].unique()
    own = (
        looks[looks["cell_id"].isin(cells)].sort_values("step").groupby(["cell_id", "seed"])[column]
    )
    values = (
        {"first": own.first, "last": own.last, "largest": own.max, "smallest": own.min}[at]()
        .dropna()
        .astype(float)
    )
    return (
        judge_interval(*compute_median_interval(values.to_numpy()), at_least, at_most)
        if len(values)
        else no_data(f"no {column} of {method}")
    )
