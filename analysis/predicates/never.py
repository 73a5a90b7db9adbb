"""``never``: a method that no amount of data helps."""

from __future__ import annotations

import math

from analysis.evidence import Evidence, Finding, Verdict, no_data, select_cells
from bfc.stats.outcomes import Outcome

QUANTITY = "share of cells that get there, 0 with a plateau in all"


def never(evidence: Evidence, method: str, eps: float) -> Finding:
    """The method reaches eps at no d, and its trainings are on a plateau.

    That is, neither fresh data nor more steps help.
    """
    rows = select_cells(evidence, method, eps)
    if rows.empty:
        return no_data(f"{method} was not measured")
    is_reached = (rows["censored"] != "right") & (rows["nstar"] <= rows["largest_n"])
    reached = int(is_reached.sum())
    plateaus = int((rows["outcome"] == Outcome.PLATEAU.value).sum())
    verdict = Verdict.UNDECIDED
    if reached:
        verdict = Verdict.CONTRADICTED
    elif plateaus == len(rows):
        verdict = Verdict.REPRODUCED
    remark = f"reached in {reached} of {len(rows)} cells, plateau in {plateaus}"
    return Finding(reached / len(rows), math.nan, math.nan, verdict, remark)
