"""``exponent``: how n* grows with d."""

from __future__ import annotations

import math

import numpy as np

from analysis.evidence import Evidence, Finding, band, nothing


def exponent(evidence: Evidence, method: str, eps: float, at_least: float = -math.inf, at_most: float = math.inf) -> Finding:
    """The exponent of n* in d lies in a band."""
    table = evidence.exponents
    rows = table[(table["method"] == method) & np.isclose(table["eps"], eps) & table["exponent"].notna()]
    if len(rows) != 1:
        return nothing(f"{len(rows)} fitted lines of {method} at eps {eps}")
    row = rows.iloc[0]
    return band(row["exponent"], row["lo"], row["hi"], at_least, at_most)
