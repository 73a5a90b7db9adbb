"""``certified_gap``: how far the two bounds of the two-layer floor are apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from analysis.evidence import Evidence
from analysis.path_norm import RadiusLaw, compute_norm_bounds
from analysis.verdicts import Measurement, Part
from bfc.stats.estimates import Certified

QUANTITY = "largest gap between both bounds"


def certified_gap(
    evidence: Evidence,
    d: Sequence[int],
    eps: Sequence[float],
    at_most: float,
    law: RadiusLaw = "limit",
) -> Measurement:
    """The largest relative gap of primal and dual over a table of (d, ε) is at most a bound.

    Certified, so there is no interval.
    """
    bounds = [compute_norm_bounds(law, size, level) for size, level in itertools.product(d, eps)]
    parts = [
        Part(Certified(bound.gap, bound.gap, bound.gap), f"d = {bound.d:g}, ε = {bound.eps:g}")
        for bound in bounds
    ]
    return Measurement(parts, 0.0, at_most)
