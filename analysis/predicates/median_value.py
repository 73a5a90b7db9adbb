"""``median_value``: what a method reaches."""

from __future__ import annotations

import math

from analysis.evidence import Evidence, Finding, judge_interval, no_data, select_values_by_seed
from analysis.risks import compute_median_interval

QUANTITY = "median"


def median_value(
    evidence: Evidence,
    method: str,
    column: str = "risk",
    at_least: float = 0.0,
    at_most: float = math.inf,
) -> Finding:
    """The median over seeds of a stored column, at the largest d and n, lies in a band."""
    values = select_values_by_seed(evidence, method, column).dropna()
    if values.empty:
        return no_data(f"no {column} of {method}")
    return judge_interval(*compute_median_interval(values.to_numpy()), at_least, at_most)
