"""``risk_ratio_at_every_d``: by how much one method is worse than another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence, Finding, judge_interval, no_data
from analysis.filters import MAX_D, compute_medians, select_trainings

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
    to_d: int = MAX_D,
    at_least: float = 0.0,
) -> Finding:
    """The median of a column of one method over that of another, at every d of both.

    The smallest ratio is judged, its interval from those of both medians.
    """
    numerators = select_trainings(evidence, over, over_where, n)
    denominators = select_trainings(evidence, under, under_where, n)
    both = compute_medians(numerators, column, from_d, to_d).merge(
        compute_medians(denominators, column, from_d, to_d), on="d", suffixes=("", "_under")
    )
    if both.empty:
        return no_data(f"no d with {column} of both {over} and {under}")
    both["ratio"] = both["median"] / both["median_under"]
    worst = both.loc[both["ratio"].idxmin()]
    lo, hi = worst["lo"] / worst["hi_under"], worst["hi"] / worst["lo_under"]
    remark = f"smallest at d = {int(worst['d'])}, of {len(both)}"
    return judge_interval(worst["ratio"], lo, hi, at_least, remark=remark)
