"""``nstar_ratio``: how many times the samples of one method another needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence, Finding, judge_interval, no_data, select_cells
from analysis.filters import restrict_rows

QUANTITY = "smallest ratio of n*"


def nstar_ratio(
    evidence: Evidence,
    over: str,
    under: str,
    eps: float,
    at_least: float,
    from_L: int = 1,
    d: int | None = None,
    over_where: Mapping[str, Any] | None = None,
    under_where: Mapping[str, Any] | None = None,
) -> Finding:
    """n* of one method over that of another, at every (d, L >= from_L, degree) where both were
    measured, or at one ``d``; the smallest ratio is judged. ``..._where``: values of the
    configuration that pick some cells of a method, such as ``{learner.widths: [512]}``."""
    of_over = restrict_rows(select_cells(evidence, over, eps), evidence, over, over_where)
    of_under = restrict_rows(select_cells(evidence, under, eps), evidence, under, under_where)
    both = of_over.merge(of_under, on=["d", "L", "degree"], suffixes=("", "_under"))
    both = both[
        (both["censored_under"] == "")
        & both[["nstar", "nstar_under"]].notna().all(axis=1)
        & (both["L"] >= from_L)
    ]
    both = both if d is None else both[both["d"] == d]
    if both.empty:
        return no_data(f"{under} has no n* where {over} was measured")
    ratio, lo, hi = (
        both["nstar"] / both["nstar_under"],
        both["lo"] / both["hi_under"],
        both["hi"] / both["lo_under"],
    )
    worst = ratio.idxmin()
    several = both["degree"].nunique() > 1
    place = f"d = {both['d'][worst]}, " + (
        f"degree {both['degree'][worst]}" if several else f"L = {both['L'][worst]}"
    )
    remark = f"smallest at {place}, of {len(both)}"
    return judge_interval(ratio[worst], lo[worst], hi[worst], at_least, math.inf, remark)
