"""``exponent``: how n* grows with d."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.evidence import Evidence, Finding, judge_interval, no_data
from analysis.filters import restrict_rows

QUANTITY = "exponent of n* in d"


def exponent(
    evidence: Evidence,
    method: str,
    eps: float,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    where: Mapping[str, Any] | None = None,
) -> Finding:
    """The exponent of n* in d lies in a band; ``where``: values of the configuration that pick one
    line of several."""
    table = restrict_rows(evidence.exponents, evidence, method, where)
    rows = table[
        (table["method"] == method) & np.isclose(table["eps"], eps) & table["exponent"].notna()
    ]
    if len(rows) != 1:
        return no_data(f"{len(rows)} fitted lines of {method} at eps {eps}")
    row = rows.iloc[0]
    return judge_interval(row["exponent"], row["lo"], row["hi"], at_least, at_most)
