"""``above_floor``: trained two-layer networks against the bound that holds for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence, Finding, judge_interval, no_data
from analysis.filters import select_trainings
from analysis.path_norm import divide_by_floor, find_norm_column

QUANTITY = "smallest risk over the certified floor of its norm"


def above_floor(
    evidence: Evidence, method: str, where: Mapping[str, Any] | None = None, at_least: float = 1.0
) -> Finding:
    """The risk of every training over the certified floor of its own path norm, under the law it
    was trained on; the smallest ratio is judged. The floor is a theorem about the quantile law, so
    a ratio below 1 would mean a fault, or a test set that is too small."""
    rows = select_trainings(evidence, method, where)
    name = find_norm_column(rows)
    rows = rows[rows[name].notna() & rows["risk"].notna()] if name else rows.iloc[:0]
    if rows.empty:
        return no_data(f"no path norm of {method}")
    ratio = divide_by_floor(rows, name)
    return judge_interval(
        ratio.min(),
        ratio.min(),
        ratio.min(),
        at_least,
        float("inf"),
        f"smallest of {len(ratio)} trainings",
    )
