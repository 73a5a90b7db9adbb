"""Which rows of a table of trainings measure the method, confirm a plateau, or share a curve.

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


def count_curves_once(trainings: pd.DataFrame) -> pd.DataFrame:
    """One row per training, and one per learning curve, whose rows all hold its whole seconds."""
    is_curve = trainings["kind"] == "curve"
    curves = trainings[is_curve].drop_duplicates(["cell_id", "seed"])
    return pd.concat([trainings[~is_curve], curves])


def select_measured(trainings: pd.DataFrame) -> pd.DataFrame:
    """The rows that measure a risk at a number of samples."""
    measured = drop_confirming(trainings)
    return measured if measured.empty else measured[measured["n"] > 0]
