"""``risk_ratio_at_every_d``: by how much one method is worse than another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence, Finding, judge_interval, no_data
from analysis.filters import compute_medians, select_trainings

QUANTITY = "smallest ratio of medians over d"


def risk_ratio_at_every_d(
    evidence: Evidence,
    over: str,
    under: str,
    over_where: Mapping[str, Any] | None = None,
    under_where: Mapping[str, Any] | None = None,
    column: str = "risk",
    n: int | None = None,
    from_d: int = 1,
    to_d: int = 1 << 20,
    at_least: float = 0.0,
) -> Finding:
    """The median of a column of one method over that of another, at every d where both were
    measured; the smallest ratio is judged, its interval from those of both medians."""
    both = compute_medians(
        select_trainings(evidence, over, over_where, n), column, from_d, to_d
    ).merge(
        compute_medians(select_trainings(evidence, under, under_where, n), column, from_d, to_d),
        on="d",
        suffixes=("", "_under"),
    )
    if both.empty:
        return no_data(f"no d with {column} of both {over} and {under}")
    both["ratio"] = both["median"] / both["median_under"]
    worst = both.loc[both["ratio"].idxmin()]
    remark = f"smallest at d = {int(worst['d'])}, of {len(both)}"
    return judge_interval(
        worst["ratio"],
        worst["lo"] / worst["hi_under"],
        worst["hi"] / worst["lo_under"],
        at_least,
        math.inf,
        remark,
    )
