"""``kernel_law``: the risk of a kernel against the one that is predicted without a constant."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.evidence import Evidence
from analysis.kernel_prediction import predict_kernel_risks
from analysis.source import Source
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.estimates import SampleMedian

QUANTITY = "measured risk over predicted"
FIGURE = "risk"


def kernel_law(
    evidence: Evidence,
    method: str,
    from_n: int = 700,
    at_least: float = 0.95,
    at_most: float = 1.05,
) -> Measurement:
    """In every cell the median over seeds of measured over predicted risk lies in a band.

    A seed counts with its geometric mean over all n from ``from_n`` on, since neighbouring points
    of its curve share their data.
    """
    rows = evidence.trainings_of(method)
    missing = not_run(f"no curve of {method} from n = {from_n} on that has a law")
    if rows.empty:
        return missing
    rows = rows[rows["n"] >= from_n]
    ratio = rows["risk"].astype(float) / predict_kernel_risks(rows)
    rows = rows.assign(ratio=ratio)[ratio.notna() & (ratio > 0)]
    parts = []
    for cell_id, cell in rows.groupby("cell_id"):
        means = cell.groupby("seed")["ratio"].apply(_geometric_mean)
        place = f"d = {cell['d'].iloc[0]}"
        parts.append(Part(SampleMedian(means.to_numpy(), scale="log"), place, frozenset([cell_id])))
    return Measurement(parts, at_least, at_most, Source.of(rows)) if parts else missing


def _geometric_mean(values: pd.Series) -> float:
    return float(np.exp(np.log(values).mean()))
