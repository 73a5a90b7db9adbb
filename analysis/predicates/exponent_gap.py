"""``exponent_gap``: one method's n* grows faster with d than another's."""

from __future__ import annotations

import math

import numpy as np

from analysis.evidence import Evidence, Finding, band, nothing

QUANTITY = "difference of exponents in d"


def exponent_gap(evidence: Evidence, over: str, under: str, eps: float, at_least: float) -> Finding:
    """The difference of the fitted exponents, over − under; interval: half widths added in quadrature, each side by itself."""
    table = evidence.exponents
    found = []
    for method in (over, under):
        rows = table[(table["method"] == method) & np.isclose(table["eps"], eps) & table["exponent"].notna()]
        if len(rows) != 1:
            return nothing(f"{len(rows)} fitted lines of {method} at eps {eps}")
        found.append(rows.iloc[0])
    a, b = found
    gap = a["exponent"] - b["exponent"]
    below = math.hypot(a["exponent"] - a["lo"], b["hi"] - b["exponent"])
    above = math.hypot(a["hi"] - a["exponent"], b["exponent"] - b["lo"])
    return band(gap, gap - below, gap + above, at_least, math.inf, f"{a['exponent']:.2f} − {b['exponent']:.2f}")
