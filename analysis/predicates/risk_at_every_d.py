"""``risk_at_every_d``: what a method reaches in a range of dimensions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence
from analysis.filters import MAX_D, estimate_medians, list_cells, select_per_d
from analysis.source import Source
from analysis.verdicts import Measurement, Part, not_run

QUANTITY = "median at the d that decides"
FIGURE = "deep"


def risk_at_every_d(
    evidence: Evidence,
    method: str,
    where: Mapping[str, Any] | None = None,
    column: str = "risk",
    n: int | None = None,
    from_d: int = 1,
    to_d: int = MAX_D,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> Measurement:
    """The median over seeds of a column lies in a band at every d of a range."""
    rows = select_per_d(evidence, method, where, n, from_d, to_d)
    medians = estimate_medians(rows, column)
    if not medians:
        return not_run(f"no {column} of {method}")
    parts = [Part(median, f"d = {d}", list_cells(d, rows)) for d, median in medians.items()]
    return Measurement(parts, at_least, at_most, Source.of(rows))
