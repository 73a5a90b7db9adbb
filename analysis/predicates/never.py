"""``never``: a method that no amount of data helps."""

from __future__ import annotations

import math

from analysis.evidence import (
    CONTRADICTED,
    REPRODUCED,
    UNDECIDED,
    Evidence,
    Finding,
    cells_of,
    nothing,
)

QUANTITY = "share of cells that get there, 0 with a plateau in all"


def never(evidence: Evidence, method: str, eps: float) -> Finding:
    """The method reaches eps at no d, and its trainings are on a plateau: neither fresh data nor
    more steps help."""
    rows = cells_of(evidence, method, eps)
    if rows.empty:
        return nothing(f"{method} was not measured")
    reached = int(((rows["censored"] != "right") & (rows["nstar"] <= rows["largest_n"])).sum())
    plateau = int((rows["outcome"] == "plateau").sum())
    verdict = CONTRADICTED if reached else REPRODUCED if plateau == len(rows) else UNDECIDED
    return Finding(
        reached / len(rows),
        math.nan,
        math.nan,
        verdict,
        f"reached in {reached} of {len(rows)} cells, plateau in {plateau}",
    )
