"""Risks, where there is no n* to speak of.

A study whose cells have a single n each (fresh data, or one sample size) asks what a method
reaches, not how many samples it needs.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.training_kinds import select_measured
from bfc.stats.estimates import LEVEL, SampleMedian

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
HEAD = ["study", "cell_id", "method", "target", "d", "L", "degree", "line"]
"""What is copied from the table of n*."""


def tabulate_risks(trainings: pd.DataFrame, nstar: pd.DataFrame) -> pd.DataFrame:
    """Median risk over seeds of every cell with its 95 % interval, columns :data:`RISKS`.

    ``trainings`` and ``nstar`` are those of one study; the table is empty where one of its cells
    has more than one n. ``reached``: how many seeds are at or below each eps.
    """
    rows = select_measured(trainings)
    if rows.empty or rows.groupby("cell_id")["n"].nunique().max() > 1:
        return pd.DataFrame(columns=list(RISKS))
    trainings_of = dict(list(rows.groupby("cell_id")))
    records = []
    for cell_id, estimates in nstar.groupby("cell_id", sort=False):
        if cell_id not in trainings_of:
            continue
        cell = trainings_of[cell_id]
        risk = cell["risk"].fillna(np.inf).to_numpy(float)
        median = SampleMedian(risk)
        lo, hi = median.interval(LEVEL)
        counts = [
            f"{(risk <= eps).sum()}/{len(risk)} at {eps:g}"
            for eps in sorted(estimates["eps"], reverse=True)
        ]
        records.append(
            {
                **estimates.iloc[0][HEAD].to_dict(),
                "n": int(cell["n"].iloc[0]),
                "seeds": cell["seed"].nunique(),
                "median": median.value,
                "lo": lo,
                "hi": hi,
                "reached": ", ".join(counts),
            }
        )
    return pd.DataFrame(records, columns=list(RISKS))
