"""``exponent_gap``: one method's n* grows faster with d than another's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.evidence import Evidence, Finding, judge_interval, no_data
from analysis.filters import restrict_rows

QUANTITY = "difference of exponents in d"


def exponent_gap(
    evidence: Evidence,
    over: str,
    under: str,
    eps: float,
    at_least: float,
    over_where: Mapping[str, Any] | None = None,
    under_where: Mapping[str, Any] | None = None,
) -> Finding:
    """The difference of the fitted exponents, over − under; interval: half widths added in
    quadrature, each side by itself. ``..._where``: values of the configuration that pick the line
    of a method which has several (:mod:`analysis.filters`)."""
    found = []
    for method, where in ((over, over_where), (under, under_where)):
        table = restrict_rows(evidence.exponents, evidence, method, where)
        rows = table[
            (table["method"] == method) & np.isclose(table["eps"], eps) & table["exponent"].notna()
        ]
        if len(rows) != 1:
            return no_data(f"{len(rows)} fitted lines of {method} at eps {eps}")
        found.append(rows.iloc[0])
    a, b = found
    gap = a["exponent"] - b["exponent"]
    below = math.hypot(a["exponent"] - a["lo"], b["hi"] - b["exponent"])
    above = math.hypot(a["hi"] - a["exponent"], b["exponent"] - b["lo"])
    return judge_interval(
        gap,
        gap - below,
        gap + above,
        at_least,
        math.inf,
        f"{a['exponent']:.2f} − {b['exponent']:.2f}",
    )
