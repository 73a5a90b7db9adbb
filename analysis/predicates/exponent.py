"""``exponent``: how n* grows with d."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.evidence import Evidence, Finding, band, nothing
from analysis.filters import restricted

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
    table = restricted(evidence.exponents, evidence, method, where)
    rows = table[
        (table["method"] == method) & np.isclose(table["eps"], eps) & table["exponent"].notna()
    ]
    if len(rows) != 1:
        return nothing(f"{len(rows)} fitted lines of {method} at eps {eps}")
    row = rows.iloc[0]
    return band(row["exponent"], row["lo"], row["hi"], at_least, at_most)
