"""``nstar_ratio``: how many times the samples of one method another needs."""

from __future__ import annotations

import math

from analysis.evidence import Evidence, Finding, band, cells_of, nothing


def nstar_ratio(evidence: Evidence, over: str, under: str, eps: float, at_least: float, from_L: int = 1, d: int | None = None) -> Finding:
    """n* of one method over that of another, at every (d, L >= from_L) where both were measured, or at this ``d`` alone; the smallest
    ratio is judged."""
    both = cells_of(evidence, over, eps).merge(cells_of(evidence, under, eps), on=["d", "L"], suffixes=("", "_under"))
    both = both[(both["censored_under"] == "") & both[["nstar", "nstar_under"]].notna().all(axis=1) & (both["L"] >= from_L)]
    both = both if d is None else both[both["d"] == d]
    if both.empty:
        return nothing(f"{under} has no n* where {over} was measured")
    ratio, lo, hi = both["nstar"] / both["nstar_under"], both["lo"] / both["hi_under"], both["hi"] / both["lo_under"]
    worst = ratio.idxmin()
    remark = f"smallest at d = {both['d'][worst]}, L = {both['L'][worst]}, of {len(both)}"
    return band(ratio[worst], lo[worst], hi[worst], at_least, math.inf, remark)
