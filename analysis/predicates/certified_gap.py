"""``certified_gap``: how far the two sides of the two-layer floor are apart."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.evidence import Evidence, Finding, judge_interval
from analysis.path_norm import compute_norm_bounds

QUANTITY = "largest gap between both bounds"


def certified_gap(
    evidence: Evidence, d: Sequence[int], eps: Sequence[float], at_most: float, law: str = "limit"
) -> Finding:
    """The largest relative gap of primal and dual over a table of (d, ε) is at most a bound;
    deterministic, so its interval is a point."""
    floors = [compute_norm_bounds(law, size, level) for size in d for level in eps]
    worst = max(floors, key=lambda own: own.gap)
    return judge_interval(
        worst.gap,
        worst.gap,
        worst.gap,
        0.0,
        at_most,
        f"largest at d = {worst.d:g}, ε = {worst.eps:g}",
    )
