"""n* read off learning curves seed by seed.

Where a seed's nested training sets give a whole curve, its first crossing of ε (a chord in log n
and log risk) is sharper than the bracket that the likelihood sees, and seeds can be averaged.
Claims about neural representations are judged by it; what is reported as n* stays the estimate of
the likelihood.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from analysis.evidence import Evidence
from bfc.baselines.selection import crossing

COLUMNS = ("d", "degree", "seeds", "reached", "median", "sizes", "lowers", "uppers")
REMARK = (
    "n* is the median of those of single seeds; tables and figures show the estimate by likelihood "
    "from all trainings of a cell"
)
"""Of a claim that is judged by these n*, beside tables and figures that show others."""


def find_crossings(evidence: Evidence, method: str, eps: float) -> pd.DataFrame:
    """Where the learning curves of a method cross eps, one row per (d, degree).

    Columns :data:`COLUMNS`: ``reached`` counts the seeds that come down to eps after their first
    n, ``median`` is the median of their n. ``sizes``, ``lowers`` and ``uppers`` hold the n of every
    seed and the bounds between which it is known to lie: a seed that starts below eps has one
    between 0 and its first n, one that does not come down to eps has one above its largest n.
    """
    rows = evidence.trainings_of(method)
    records = []
    if len(rows):
        rows = rows[~rows["fresh"].astype(bool)]
        for (d, degree), cell in rows.groupby(["d", "degree"]):
            records.append({"d": int(d), "degree": int(degree), **_summarise_cell(cell, eps)})
    return pd.DataFrame(records, columns=list(COLUMNS))


def _summarise_cell(cell: pd.DataFrame, eps: float) -> dict[str, Any]:
    """Counts, median and sizes over the seeds of one cell with more than two n."""
    crossings = [
        _find_crossing(curve.sort_values("n"), eps)
        for _, curve in cell.groupby("seed")
        if curve["n"].nunique() > 2
    ]
    reached = [size for size, lower, upper in crossings if lower == upper]
    return {
        "seeds": len(crossings),
        "reached": len(reached),
        "median": float(np.exp(np.median(np.log(reached)))) if reached else math.nan,
        "sizes": tuple(size for size, _, _ in crossings),
        "lowers": tuple(lower for _, lower, _ in crossings),
        "uppers": tuple(upper for _, _, upper in crossings),
    }


def _find_crossing(curve: pd.DataFrame, eps: float) -> tuple[float, float, float]:
    """Where a curve crosses eps, or the end of its grid, and the bounds of the crossing."""
    sizes = curve["n"].tolist()
    size = crossing(sizes, curve["risk"].fillna(np.inf).tolist(), eps)
    if size is None:
        return float(sizes[-1]), float(sizes[-1]), math.inf
    if size <= sizes[0]:
        return float(sizes[0]), 0.0, float(sizes[0])
    return size, size, size
