"""Which rows of a table of trainings measure the method, and which confirm a plateau.

A confirming run (fresh data, four times the steps) says why trainings fail; it is no measurement at
its n, so nothing that is estimated or drawn against n counts it.
"""

from __future__ import annotations

import pandas as pd


def mark_confirming(trainings: pd.DataFrame) -> pd.Series:
    """Which rows are confirming runs."""
    return trainings["kind"] == "confirmation"


def drop_confirming(trainings: pd.DataFrame) -> pd.DataFrame:
    """The rows without confirming runs; a table without rows may lack its columns."""
    return trainings if trainings.empty else trainings[~mark_confirming(trainings)]


def select_measured(trainings: pd.DataFrame) -> pd.DataFrame:
    """The rows that measure a risk at a number of samples."""
    measured = drop_confirming(trainings)
    return measured if measured.empty else measured[measured["n"] > 0]
