"""``never``: a method that no amount of data helps."""

from __future__ import annotations

import math

from analysis.evidence import Evidence, Finding, Verdict, no_data, select_cells

QUANTITY = "share of cells that get there, 0 with a plateau in all"


def never(evidence: Evidence, method: str, eps: float) -> Finding:
    """The method reaches eps at no d, and its trainings are on a plateau: neither fresh data nor
    more steps help."""
    rows = select_cells(evidence, method, eps)
    if rows.empty:
        return no_data(f"{method} was not measured")
    reached = int(((rows["censored"] != "right") & (rows["nstar"] <= rows["largest_n"])).sum())
    plateau = int((rows["outcome"] == "plateau").sum())
    verdict = (
        Verdict.CONTRADICTED
        if reached
        else Verdict.REPRODUCED
        if plateau == len(rows)
        else Verdict.UNDECIDED
    )
    return Finding(
        reached / len(rows),
        math.nan,
        math.nan,
        verdict,
        f"reached in {reached} of {len(rows)} cells, plateau in {plateau}",
    )
