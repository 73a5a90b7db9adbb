"""``nstar_ratio``: how many times the samples of one method another needs."""

from __future__ import annotations

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
    """n* of one method over that of another, at every (d, L >= from_L, degree) of both.

    Or at one ``d``; the smallest ratio is judged. ``..._where``: values of the configuration that
    select some cells of a method, such as ``{learner.widths: [512]}``.
    """
    numerators = restrict_rows(select_cells(evidence, over, eps), evidence, over, over_where)
    denominators = restrict_rows(select_cells(evidence, under, eps), evidence, under, under_where)
    both = numerators.merge(denominators, on=["d", "L", "degree"], suffixes=("", "_under"))
    both = both[
        (both["censored_under"] == "")
        & both[["nstar", "nstar_under"]].notna().all(axis=1)
        & (both["L"] >= from_L)
    ]
    if d is not None:
        both = both[both["d"] == d]
    if both.empty:
        return no_data(f"{under} has no n* where {over} was measured")
    ratio = both["nstar"] / both["nstar_under"]
    worst = ratio.idxmin()
    lo = both["lo"][worst] / both["hi_under"][worst]
    hi = both["hi"][worst] / both["lo_under"][worst]
    key = "degree" if both["degree"].nunique() > 1 else "L"
    place = f"d = {both['d'][worst]}, {key} {'' if key == 'degree' else '= '}{both[key][worst]}"
    remark = f"smallest at {place}, of {len(both)}"
    return judge_interval(ratio[worst], lo, hi, at_least, remark=remark)
