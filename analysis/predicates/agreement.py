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
    """In every cell the median over seeds of the first column over the second lies in a band.

    The cell nearest to leaving the band, or furthest outside, is judged.
    """
    missing = no_data(f"no {column} and {with_column} of {method}")
    rows = select_alpha_rows(evidence, method, L)
    if rows.empty or not {column, with_column} <= set(rows):
        return missing
    cells = []
    for _, cell in rows.dropna(subset=[column, with_column]).groupby("cell_id"):
        interval = compute_median_interval((cell[column] / cell[with_column]).to_numpy())
        margin = _compute_margin(interval[0], at_least, at_most)
        cells.append((margin, interval, cell["alpha"].iloc[0]))
    if not cells:
        return missing
    _, interval, alpha = min(cells, key=lambda cell: cell[0])
    remark = f"worst at alpha {alpha}, of {rows['cell_id'].nunique()} cells"
    return judge_interval(*interval, at_least, at_most, remark)


def _compute_margin(median: float, at_least: float, at_most: float) -> float:
    """The log distance to the nearer end of the band, negative outside."""
    below = math.log(median / at_least) if at_least > 0 else math.inf
    return min(below, math.log(at_most / median))
