"""``certified_norm``: the path norm that every two-layer ReLU network needs.

Computed here, and not read from any training.
"""

from __future__ import annotations

import math
from typing import Literal

from analysis.evidence import Evidence
from analysis.path_norm import compute_norm_bounds
from analysis.verdicts import Measurement, measure_one
from bfc.stats.estimates import Certified

QUANTITY = "path norm needed"
FIGURE = "norm"


def certified_norm(
    evidence: Evidence,
    d: int,
    eps: float,
    law: Literal["bessel", "limit"] = "limit",
    over_d: int | None = None,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> Measurement:
    """The norm needed at (d, ε), or its ratio to that at ``over_d``, lies in a band.

    ``over_d`` = 0 is the limit of large d. The interval is what is certified from both sides; no
    chance is involved.
    """
    bound = compute_norm_bounds(law, d, eps)
    if over_d is None:
        remark = f"upper bound {bound.upper:.4g}"
        estimate = Certified(bound.lower, bound.lower, bound.upper)
        return measure_one(estimate, at_least, at_most, remark=remark)
    other = compute_norm_bounds(law, over_d, eps)
    lo, hi = bound.lower / other.upper, bound.upper / other.lower
    remark = f"{bound.lower:.4g} to {bound.upper:.4g} over {other.lower:.4g} to {other.upper:.4g}"
    estimate = Certified(math.sqrt(lo * hi), lo, hi)
    return measure_one(estimate, at_least, at_most, remark=remark)
