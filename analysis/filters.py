"""Which trainings a claim speaks of where a method alone does not say it: those whose configuration
has given values, at one d or at each. Shared by the predicates of the depth-separation studies,
whose methods differ in width and not in name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.evidence import Evidence
from analysis.risks import median_interval


def chosen(
    evidence: Evidence, method: str, where: Mapping[str, Any] | None = None, n: int | None = None
) -> pd.DataFrame:
    """The trainings of a method (no probing runs) whose configuration keys have the values of
    ``where`` (``{learner.widths: [512]}``), at ``n`` or at the largest n of each cell."""
    rows = evidence.trainings
    if rows.empty:
        return rows
    rows = having(rows[(rows["method"] == method) & (rows["kind"] != "confirmation")], where)
    if rows.empty:
        return rows
    at = rows.groupby("cell_id")["n"].transform("max") if n is None else n
    return rows[rows["n"] == at]


def having(rows: pd.DataFrame, where: Mapping[str, Any] | None) -> pd.DataFrame:
    """The trainings whose configuration keys have the values of ``where``; all of them where it is
    None."""
    for key, value in (where or {}).items():
        name = f"config.{key}"
        rows = (
            rows[rows[name].map(lambda own, value=value: _same(own, value))]
            if name in rows
            else rows.iloc[:0]
        )
    return rows


def restricted(
    table: pd.DataFrame, evidence: Evidence, method: str, where: Mapping[str, Any] | None
) -> pd.DataFrame:
    """The rows of a table with a column ``cell_id`` or ``line`` (n*, exponents) that belong to the
    :func:`chosen` trainings; all of them where ``where`` is None."""
    if where is None or table.empty:
        return table
    key, own = "cell_id" if "cell_id" in table else "line", chosen(evidence, method, where)
    return table[table[key].isin(own[key])] if len(own) else table.iloc[:0]


def _same(own: Any, value: Any) -> bool:
    """Whether a stored configuration value, whose lists are JSON texts, is ``value``."""
    if isinstance(value, list):
        return own == json.dumps(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return math.isclose(float(own), float(value))
        except (TypeError, ValueError):
            return False
    return own == value


def medians(rows: pd.DataFrame, column: str, from_d: int = 1, to_d: int = 1 << 20) -> pd.DataFrame:
    """Median of a column over seeds with its 95 % interval at every d of a range: columns ``d,
    median, lo, hi``; NaN counts as infinite."""
    found = []
    if column in rows:
        rows = rows[(rows["d"] >= from_d) & (rows["d"] <= to_d)]
        for d, own in rows.groupby("d"):
            found.append((d, *median_interval(own[column].astype(float).fillna(np.inf).to_numpy())))
    return pd.DataFrame(found, columns=["d", "median", "lo", "hi"])
