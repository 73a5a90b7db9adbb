"""n* read off learning curves seed by seed.

Where a seed's nested training sets give a whole curve, its first crossing of ε (a chord in log n
and log risk) is sharper than the bracket that the likelihood sees, and seeds can be averaged. This
is the protocol of the notes on neural representations; what is reported as n* stays the estimate
of the likelihood.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from analysis.evidence import Evidence
from bfc.baselines.selection import crossing

COLUMNS = ("d", "degree", "seeds", "reached", "median", "sizes")


def find_crossings(evidence: Evidence, method: str, eps: float) -> pd.DataFrame:
    """Where the learning curves of a method cross eps, one row per (d, degree).

    Columns :data:`COLUMNS`: ``reached`` counts the seeds that come down to eps after their first
    n, ``sizes`` holds their n and ``median`` the median of these.
    """
    rows = evidence.trainings
    records = []
    if len(rows):
        rows = rows[
            (rows["method"] == method)
            & (rows["kind"] != "confirmation")
            & ~rows["fresh"].astype(bool)
        ]
        for (d, degree), cell in rows.groupby(["d", "degree"]):
            records.append({"d": int(d), "degree": int(degree), **_summarise_cell(cell, eps)})
    return pd.DataFrame(records, columns=list(COLUMNS))


def _summarise_cell(cell: pd.DataFrame, eps: float) -> dict[str, Any]:
    """Counts, median and sizes over the seeds of one cell with more than two n."""
    seeds = 0
    sizes = []
    for _, curve in cell.groupby("seed"):
        if curve["n"].nunique() > 2:
            seeds += 1
            curve = curve.sort_values("n")
            size = crossing(curve["n"].tolist(), curve["risk"].tolist(), eps)
            if size is not None and size > curve["n"].iloc[0]:
                sizes.append(size)
    median = float(np.exp(np.median(np.log(sizes)))) if sizes else math.nan
    return {"seeds": seeds, "reached": len(sizes), "median": median, "sizes": tuple(sizes)}
