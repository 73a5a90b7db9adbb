"""``risk_at_every_d``: what a method reaches in a range of dimensions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence, Finding, judge_interval, no_data
from analysis.filters import MAX_D, compute_medians, select_trainings

QUANTITY = "median at the worst d"


def risk_at_every_d(
    evidence: Evidence,
    method: str,
    where: Mapping[str, Any] | None = None,
    column: str = "risk",
    n: int | None = None,
    from_d: int = 1,
    to_d: int = MAX_D,
    at_least: float = 0.0,
    at_most: float = math.inf,
) -> Finding:
    """The median over seeds of a column lies in a band at every d of a range.

    The worst d is judged: the largest value where there is an upper end, else the smallest.
    """
    table = compute_medians(select_trainings(evidence, method, where, n), column, from_d, to_d)
    if table.empty:
        return no_data(f"no {column} of {method}")
    medians = table["median"]
    worst = table.loc[medians.idxmax() if at_most < math.inf else medians.idxmin()]
    remark = f"worst at d = {int(worst['d'])}, of {len(table)}"
    return judge_interval(worst["median"], worst["lo"], worst["hi"], at_least, at_most, remark)
