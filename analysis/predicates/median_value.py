"""``median_value``: what a method reaches."""

from __future__ import annotations

import math

from analysis.evidence import Evidence, Finding, band, nothing, values_by_seed
from analysis.risks import median_interval

QUANTITY = "median"


def median_value(
    evidence: Evidence,
    method: str,
    column: str = "risk",
    at_least: float = 0.0,
    at_most: float = math.inf,
) -> Finding:
    """The median over seeds of a stored column, at the largest d and n, lies in a band."""
    values = values_by_seed(evidence, method, column).dropna()
    return (
        band(*median_interval(values.to_numpy()), at_least, at_most)
        if len(values)
        else nothing(f"no {column} of {method}")
    )
