"""``risk_ratio_at_every_d``: by how much one method is worse than another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence
from analysis.filters import MAX_D, estimate_ratios, list_cells, select_per_d, split_by_d
from analysis.source import Source
from analysis.verdicts import Measurement, Part, not_run

QUANTITY = "ratio of medians at the d that decides"


def risk_ratio_at_every_d(
    evidence: Evidence,
    over: str,
    under: str,
    over_where: Mapping[str, Any] | None = None,
    under_where: Mapping[str, Any] | None = None,
    column: str = "risk",
    n: int | None = None,
    from_d: int = 1,
    to_d: int = MAX_D,
    at_least: float = -math.inf,
) -> Measurement:
    """The median of a column of one method over that of another, at every d of both.

    Seed by seed where both have the same seeds, whose draws they share: the median of the ratios.
    Otherwise the ratio of the medians.
    """
    numerators = select_per_d(evidence, over, over_where, n, from_d, to_d)
    denominators = select_per_d(evidence, under, under_where, n, from_d, to_d)
    ratios = estimate_ratios(
        split_by_d(numerators, column), split_by_d(denominators, column), column
    )
    if not ratios:
        return not_run(f"no d with {column} of both {over} and {under}")
    parts = [
        Part(ratio, f"d = {d}", list_cells(d, numerators, denominators))
        for d, ratio in ratios.items()
    ]
    source = Source.of(*(rows[rows["d"].isin(ratios)] for rows in (numerators, denominators)))
    return Measurement(parts, at_least, source=source)
