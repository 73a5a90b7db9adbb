"""``agreement``: a measured column against a predicted one."""

from __future__ import annotations

import math

from analysis.cells import select_alpha_rows
from analysis.evidence import Evidence, Finding, judge_interval, no_data
from analysis.risks import compute_median_interval

QUANTITY = "median of one column over another"


def agreement(
    evidence: Evidence,
    method: str,
    column: str,
    with_column: str,
    L: int | None = None,
    at_least: float = 0.0,
    at_most: float = math.inf,
) -> Finding:
    """In every cell the median over seeds of the first column over the second lies in a band; the
    cell nearest to leaving it, or furthest outside, is judged."""
    rows = select_alpha_rows(evidence, method, L)
    if rows.empty or not {column, with_column} <= set(rows):
        return no_data(f"no {column} and {with_column} of {method}")
    worst = None
    for _, own in rows.dropna(subset=[column, with_column]).groupby("cell_id"):
        found = compute_median_interval((own[column] / own[with_column]).to_numpy())
        room = min(
            math.log(found[0] / at_least) if at_least > 0 else math.inf,
            math.log(at_most / found[0]),
        )
        if worst is None or room < worst[0]:
            worst = room, found, own["alpha"].iloc[0]
    if worst is None:
        return no_data(f"no {column} and {with_column} of {method}")
    return judge_interval(
        *worst[1],
        at_least,
        at_most,
        f"worst at alpha {worst[2]}, of {rows['cell_id'].nunique()} cells",
    )
