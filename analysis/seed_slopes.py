"""Slopes of logarithms seed by seed, of seeds that share their draws over several settings."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from analysis.evidence import drop_unmeasured


def read_setting(value: object) -> float:
    """A stored number, or that of a list of one number, which is stored as JSON; else NaN."""
    restored = json.loads(value) if isinstance(value, str) and value[:1] == "[" else value
    if isinstance(restored, list):
        restored = restored[0] if len(restored) == 1 else None
    return float(restored) if isinstance(restored, (int, float, np.number)) else float("nan")


def tabulate_settings(rows: pd.DataFrame, column: str, setting: str) -> pd.DataFrame:
    """A stored column of trainings, one row per seed and one column per value of ``setting``.

    Only seeds that were measured in every setting. A missing value of a training that diverged is
    NaN.
    """
    measured = drop_unmeasured(rows, [column])
    grouped = measured.astype({column: float}).groupby(["seed", setting])
    table = grouped[column].mean().unstack()
    counts = measured.groupby("seed")[setting].nunique()
    return table.loc[counts.index[counts == table.shape[1]]]


def fit_slopes(table: pd.DataFrame) -> pd.Series:
    """The slope of log value against log setting of every seed, by least squares.

    NaN for a seed with a value that is not known or not positive.
    """
    x = np.log(table.columns.to_numpy(float))
    x = x - x.mean()
    logs = np.log(table.where(table > 0).to_numpy(float))
    return pd.Series(logs @ x / (x @ x), index=table.index)
