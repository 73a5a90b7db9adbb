"""Selects the cells whose target has coefficients alpha.

Claims and figures about laws in alpha read their rows from here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.evidence import Evidence
from analysis.training_kinds import drop_confirming

ALPHA = "config.target.alpha"


def select_alpha_rows(
    evidence: Evidence, method: str | None = None, L: int | None = None
) -> pd.DataFrame:
    """Trainings of a method at one depth, each cell at its largest n, without confirming runs.

    Only cells whose target has coefficients; these are added as a column ``alpha`` of lists.
    """
    rows = drop_confirming(evidence.trainings)
    if ALPHA not in rows:
        return rows.iloc[:0].assign(alpha=None)
    keep = rows[ALPHA].notna()
    if method is not None:
        keep &= rows["method"] == method
    if L is not None:
        keep &= rows["L"] == L
    rows = rows[keep]
    if len(rows):
        rows = rows[rows["n"] == rows.groupby("cell_id")["n"].transform("max")]
    return rows.assign(alpha=rows[ALPHA].map(json.loads))


def compute_alpha_ratio(rows: pd.DataFrame, ratio: Sequence[int]) -> pd.Series:
    """alpha_upper / alpha_lower of every row, for ``ratio`` = [upper, lower] (levels).

    NaN where a target has no such level.
    """
    upper, lower = ratio

    def divide(alpha: Sequence[float]) -> float:
        if max(upper, lower) - 2 >= len(alpha):
            return np.nan
        return alpha[upper - 2] / alpha[lower - 2]

    return rows["alpha"].map(divide).astype(float)


def matches_list(values: pd.Series, expected: Sequence[float]) -> pd.Series:
    """Which entries of a column of lists written as JSON hold the expected numbers."""

    def matches(text: object) -> bool:
        stored = json.loads(text) if isinstance(text, str) else None
        if not isinstance(stored, list) or len(stored) != len(expected):
            return False
        return bool(np.allclose(stored, expected))

    return values.map(matches).astype(bool)
