"""``above_floor``: trained two-layer networks against the bound that holds for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence
from analysis.filters import select_trainings
from analysis.path_norm import divide_by_floor, find_norm_column
from analysis.source import Source
from analysis.verdicts import Measurement, measure_one, not_run
from bfc.stats.estimates import Certified

QUANTITY = "smallest risk over the certified floor of its norm"
FIGURE = "two-layer-floor"


def above_floor(
    evidence: Evidence, method: str, where: Mapping[str, Any] | None = None, at_least: float = 1.0
) -> Measurement:
    """The smallest ratio of a training's risk to the certified floor of its own path norm.

    Under the law that it was trained on. The floor is a theorem about the quantile law, so a ratio
    below 1 would mean an error, or a test set that is too small. The claim speaks of these
    trainings only, so there is no interval.
    """
    rows = select_trainings(evidence, method, where)
    column = find_norm_column(rows)
    if column is None:
        return not_run(f"no path norm of {method}")
    rows = rows[rows[column].notna() & rows["risk"].notna()]
    if rows.empty:
        return not_run(f"no path norm of {method}")
    ratios = divide_by_floor(rows, column)
    smallest = float(ratios.min())
    remark = f"smallest of {len(ratios)} trainings"
    estimate = Certified(smallest, smallest, smallest)
    return measure_one(estimate, at_least, source=Source.of(rows), remark=remark)
