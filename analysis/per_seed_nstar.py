"""n* read off learning curves seed by seed: where a seed's nested training sets give a whole curve,
its first crossing of ε (a chord in log n and log risk) is sharper than the bracket that the
likelihood sees, and seeds can be averaged. This is the protocol of the notes on neural
representations; the likelihood stays what is reported as n*."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from analysis.evidence import Evidence
from bfc.baselines.ridge import crossing


def crossings(evidence: Evidence, method: str, eps: float) -> pd.DataFrame:
    """One row per d: ``d, degree, seeds, reached`` (seeds that come down to eps after their first
    n), and over those that do ``median``, ``lo, hi`` (95 % Student interval of the mean of log n*,
    as numbers of samples; NaN below 3 seeds)."""
    rows = evidence.trainings
    rows = (
        rows[
            (rows["method"] == method)
            & (rows["kind"] != "confirmation")
            & ~rows["fresh"].astype(bool)
        ]
        if len(rows)
        else rows
    )
    found = []
    for (d, degree), cell in rows.groupby(["d", "degree"]) if len(rows) else []:
        curves = [
            curve.sort_values("n") for _, curve in cell.groupby("seed") if curve["n"].nunique() > 2
        ]
        at = [crossing(curve["n"].tolist(), curve["risk"].tolist(), eps) for curve in curves]
        logs = np.log(
            [
                n
                for n, curve in zip(at, curves, strict=True)
                if n is not None and n > curve["n"].iloc[0]
            ]
        )
        lo = hi = math.nan
        if len(logs) > 2:
            half = stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / math.sqrt(len(logs))
            lo, hi = np.exp([logs.mean() - half, logs.mean() + half])
        middle = float(np.exp(np.median(logs))) if len(logs) else math.nan
        found.append(
            {
                "d": int(d),
                "degree": int(degree),
                "seeds": len(curves),
                "reached": len(logs),
                "median": middle,
                "lo": lo,
                "hi": hi,
            }
        )
    return pd.DataFrame(found, columns=["d", "degree", "seeds", "reached", "median", "lo", "hi"])
