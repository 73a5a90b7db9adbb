"""``certified_gap``: how far the two bounds of the two-layer floor are apart."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.evidence import Evidence, Finding, judge_interval
from analysis.path_norm import RadiusLaw, compute_norm_bounds

QUANTITY = "largest gap between both bounds"


def certified_gap(
    evidence: Evidence,
    d: Sequence[int],
    eps: Sequence[float],
    at_most: float,
    law: RadiusLaw = "limit",
) -> Finding:
    """The largest relative gap of primal and dual over a table of (d, ε) is at most a bound.

    Deterministic, so its interval is a point.
    """
    bounds = [compute_norm_bounds(law, size, level) for size in d for level in eps]
    worst = max(bounds, key=lambda bound: bound.gap)
    remark = f"largest at d = {worst.d:g}, ε = {worst.eps:g}"
    return judge_interval(worst.gap, worst.gap, worst.gap, 0.0, at_most, remark)
