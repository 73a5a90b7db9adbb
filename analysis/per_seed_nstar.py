"""n* read off learning curves seed by seed.

Where a seed's nested training sets give a whole curve, its first crossing of ε (a chord in log n
and log risk) is sharper than the bracket that the likelihood sees, and seeds can be averaged. This
is the protocol of the notes on neural representations; what is reported as n* stays the estimate
of the likelihood.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from analysis.evidence import Evidence
from bfc.baselines.selection import crossing

COLUMNS = ("d", "degree", "seeds", "reached", "median", "lo", "hi")


def find_crossings(evidence: Evidence, method: str, eps: float) -> pd.DataFrame:
    """Where the learning curves of a method cross eps, one row per (d, degree).

    Columns :data:`COLUMNS`: ``reached`` counts the seeds that come down to eps after their first
    n, and over those are ``median`` and ``lo, hi``, the 95 % Student interval of the mean of
    log n*, as numbers of samples; NaN below 3 seeds.
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


def _summarise_cell(cell: pd.DataFrame, eps: float) -> dict[str, float]:
    """Counts, median and interval over the seeds of one cell with more than two n."""
    seeds = 0
    sizes = []
    for _, curve in cell.groupby("seed"):
        if curve["n"].nunique() > 2:
            seeds += 1
            curve = curve.sort_values("n")
            size = crossing(curve["n"].tolist(), curve["risk"].tolist(), eps)
            if size is not None and size > curve["n"].iloc[0]:
                sizes.append(size)
    logs = np.log(sizes)
    lo, hi = _student_interval(logs)
    median = float(np.exp(np.median(logs))) if len(logs) else math.nan
    return {"seeds": seeds, "reached": len(logs), "median": median, "lo": lo, "hi": hi}


def _student_interval(logs: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the mean of log n, as numbers of samples."""
    if len(logs) < 3:
        return math.nan, math.nan
    half = stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / math.sqrt(len(logs))
    lo, hi = np.exp([logs.mean() - half, logs.mean() + half])
    return lo, hi
