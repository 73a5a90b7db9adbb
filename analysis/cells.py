"""Cells of a study by what their target or learner is: the rows that laws in the coefficients alpha
are read from."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.evidence import Evidence


def rows_of(evidence: Evidence, method: str | None = None, L: int | None = None) -> pd.DataFrame:
    """Trainings (no probes) of a method at one depth, each cell at its largest n, with the list of
    its ``alpha`` as a column."""
    rows = evidence.trainings
    if "config.target.alpha" not in rows:
        return rows.iloc[:0].assign(alpha=None)
    keep = (rows["kind"] != "confirmation") & rows["config.target.alpha"].notna()
    keep &= (rows["method"] == method) if method is not None else True
    keep &= (rows["L"] == L) if L is not None else True
    rows = rows[keep]
    rows = rows[rows["n"] == rows.groupby("cell_id")["n"].transform("max")] if len(rows) else rows
    return rows.assign(alpha=rows["config.target.alpha"].map(json.loads))


def alpha_ratio(rows: pd.DataFrame, ratio: Sequence[int]) -> pd.Series:
    """alpha_upper / alpha_lower of every row for ``ratio`` = [upper, lower], levels; NaN where a
    target has no such level."""
    upper, lower = ratio
    return (
        rows["alpha"]
        .map(lambda a: a[upper - 2] / a[lower - 2] if max(upper, lower) - 2 < len(a) else np.nan)
        .astype(float)
    )


def same_list(values: pd.Series, wanted: Sequence[float]) -> pd.Series:
    """Which entries of a column of lists written as JSON hold these numbers."""

    def same(text: object) -> bool:
        found = json.loads(text) if isinstance(text, str) else None
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and bool(np.allclose(found, wanted))
        )

    return values.map(same).astype(bool)
