"""``growing_in_d``: a method gets worse with the dimension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence, Finding, judge_interval, no_data
from analysis.filters import MAX_D, compute_medians, select_trainings

QUANTITY = "smallest factor of the median from one d to the next"


def growing_in_d(
    evidence: Evidence,
    method: str,
    where: Mapping[str, Any] | None = None,
    column: str = "risk",
    from_d: int = 1,
    to_d: int = MAX_D,
    at_least: float = 1.0,
) -> Finding:
    """The median of a column grows by a factor from each measured d to the next.

    The smallest factor is judged, its interval from those of both medians.
    """
    table = compute_medians(select_trainings(evidence, method, where), column, from_d, to_d)
    if len(table) < 2:
        return no_data(f"fewer than two d with {column} of {method}")
    factor = table["median"].shift(-1) / table["median"]
    worst = factor.idxmin()
    lo = table["lo"][worst + 1] / table["hi"][worst]
    hi = table["hi"][worst + 1] / table["lo"][worst]
    remark = f"smallest from d = {table['d'][worst]} to {table['d'][worst + 1]}"
    return judge_interval(factor[worst], lo, hi, at_least, remark=remark)
