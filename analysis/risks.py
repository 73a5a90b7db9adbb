"""Risks where there is no n* to speak of: a study whose cells have a single n each (fresh data, or
one sample size) asks what a method reaches, not how many samples it needs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

RISKS = (
    "study",
    "cell_id",
    "method",
    "target",
    "d",
    "L",
    "degree",
    "n",
    "seeds",
    "median",
    "lo",
    "hi",
    "reached",
    "line",
)


def risk_table(trainings: pd.DataFrame, nstar: pd.DataFrame) -> pd.DataFrame:
    """Median risk over seeds of every cell with its 95 % interval, columns ``RISKS``, for one study
    in which no cell has more than one n; empty otherwise. ``trainings`` and ``nstar`` are those of
    the study. ``reached``: how many seeds are at or below each eps."""
    rows = trainings[(trainings["kind"] != "confirmation") & (trainings["n"] > 0)]
    if rows.empty or rows.groupby("cell_id")["n"].nunique().max() > 1:
        return pd.DataFrame(columns=list(RISKS))
    cells = dict(list(rows.groupby("cell_id")))
    records = []
    for cell_id, own in nstar.groupby("cell_id", sort=False):
        if cell_id in cells:
            risk = cells[cell_id]["risk"].fillna(np.inf).to_numpy(float)
            head = own.iloc[0][
                ["study", "cell_id", "method", "target", "d", "L", "degree", "line"]
            ].to_dict()
            median, lo, hi = median_interval(risk)
            reached = ", ".join(
                f"{(risk <= eps).sum()}/{len(risk)} at {eps:g}"
                for eps in sorted(own["eps"], reverse=True)
            )
            size = {
                "n": int(cells[cell_id]["n"].iloc[0]),
                "seeds": cells[cell_id]["seed"].nunique(),
            }
            records.append(
                {**head, **size, "median": median, "lo": lo, "hi": hi, "reached": reached}
            )
    return pd.DataFrame(records, columns=list(RISKS))


def median_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Median and its distribution-free 95 % interval from order statistics (binomial); the range
    with fewer than six values."""
    ordered, count = np.sort(values), len(values)
    k = int(stats.binom.ppf(0.025, count, 0.5))
    k = max(0, k - 1) if stats.binom.cdf(k - 1, count, 0.5) > 0.025 else k
    return (
        float(np.median(ordered)),
        float(ordered[max(0, k - 1)]),
        float(ordered[min(count - 1, count - k)]),
    )
