"""``certified_norm``: the path norm that every two-layer ReLU network needs, computed here and not
read from any training."""

from __future__ import annotations

import math
from typing import Literal

from analysis.evidence import Evidence, Finding, judge_interval
from analysis.path_norm import compute_norm_bounds

QUANTITY = "path norm needed"


def certified_norm(
    evidence: Evidence,
    d: int,
    eps: float,
    law: Literal["bessel", "limit"] = "limit",
    over_d: int | None = None,
    at_least: float = 0.0,
    at_most: float = math.inf,
) -> Finding:
    """The norm needed at (d, ε), or its ratio to that at ``over_d`` (0: the limit of large d), lies
    in a band. The interval is what is certified from both sides: it holds no chance."""
    own = compute_norm_bounds(law, d, eps)
    if over_d is None:
        return judge_interval(
            own.lower, own.lower, own.upper, at_least, at_most, f"upper bound {own.upper:.4g}"
        )
    other = compute_norm_bounds(law, over_d, eps)
    lo, hi = own.lower / other.upper, own.upper / other.lower
    remark = f"{own.lower:.4g} to {own.upper:.4g} over {other.lower:.4g} to {other.upper:.4g}"
    return judge_interval(math.sqrt(lo * hi), lo, hi, at_least, at_most, remark)
