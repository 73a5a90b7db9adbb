"""Selects the trainings that a claim is about, where the method's name does not single them out.

The methods of some studies differ in their configuration (a width, a representation) and not in
their name; predicates select them by ``where``, a mapping of configuration keys to values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.evidence import Evidence, choose_scale
from bfc.stats.estimates import Estimate, Ratio, SampleMedian

MAX_D = 1 << 20
"""An upper end that no dimension reaches."""


def select_trainings(
    evidence: Evidence, method: str, where: Mapping[str, Any] | None = None, n: int | None = None
) -> pd.DataFrame:
    """The trainings of a method, without confirming runs, at ``n`` or each cell's largest n.

    Their configuration keys have the values of ``where`` (``{learner.widths: [512]}``).
    """
    rows = filter_by_config(evidence.trainings_of(method), where)
    if rows.empty:
        return rows
    size = rows.groupby("cell_id")["n"].transform("max") if n is None else n
    return rows[rows["n"] == size]


def filter_by_config(rows: pd.DataFrame, where: Mapping[str, Any] | None) -> pd.DataFrame:
    """The trainings whose configuration has the values of ``where``; all where it is None."""
    for key, value in (where or {}).items():
        name = f"config.{key}"
        if name not in rows:
            return rows.iloc[:0]
        matches = np.array([_is_equal(stored, value) for stored in rows[name]], dtype=bool)
        rows = rows[matches]
    return rows


def restrict_rows(
    table: pd.DataFrame, evidence: Evidence, method: str, where: Mapping[str, Any] | None
) -> pd.DataFrame:
    """The rows of a table of n* or exponents that belong to the selected trainings.

    The table has a column ``cell_id`` or ``line``; all rows where ``where`` is None.
    """
    if where is None or table.empty:
        return table
    trainings = select_trainings(evidence, method, where)
    if trainings.empty:
        return table.iloc[:0]
    key = "cell_id" if "cell_id" in table else "line"
    return table[table[key].isin(trainings[key])]


def select_fits(
    evidence: Evidence, method: str, eps: float, where: Mapping[str, Any] | None
) -> pd.DataFrame:
    """The rows of the table of exponents of one method at one eps.

    ``where``: values of the configuration that select one line of several.
    """
    table = restrict_rows(evidence.exponents, evidence, method, where)
    is_fit = (table["method"] == method) & np.isclose(table["eps"], eps)
    return table[is_fit]


def _is_equal(stored: Any, value: Any) -> bool:
    """Whether a stored configuration value, whose lists are JSON texts, is ``value``."""
    if isinstance(value, list):
        return bool(stored == json.dumps(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return math.isclose(float(stored), float(value))
        except (TypeError, ValueError):
            return False
    return bool(stored == value)


def select_line(evidence: Evidence, fit: pd.Series) -> pd.DataFrame:
    """The trainings of a fitted line."""
    rows = evidence.trainings_of(fit["method"])
    return rows[rows["line"] == fit["line"]] if "line" in rows and "line" in fit else rows


def estimate_medians(
    rows: pd.DataFrame, column: str, from_d: int = 1, to_d: int = MAX_D
) -> dict[int, Estimate]:
    """d → the median of a column over seeds, at every d of a range; NaN counts as infinite."""
    return {
        d: SampleMedian(values.to_numpy(), scale=choose_scale(column))
        for d, values in _split_by_d(rows, column, from_d, to_d).items()
    }


def estimate_ratios(
    over: pd.DataFrame, under: pd.DataFrame, column: str, from_d: int, to_d: int
) -> dict[int, Estimate]:
    """d → the ratio of a column of two methods, at every d of both.

    The median of the ratios seed by seed where both have the same seeds, once each; otherwise the
    ratio of the medians.
    """
    numerators = _split_by_d(over, column, from_d, to_d)
    denominators = _split_by_d(under, column, from_d, to_d)
    ratios: dict[int, Estimate] = {}
    for d in sorted(numerators.keys() & denominators.keys()):
        first, second = numerators[d], denominators[d]
        is_paired = (
            first.index.is_unique
            and second.index.is_unique
            and set(first.index) == set(second.index)
            and np.isfinite(second).all()
        )
        if is_paired:
            pairs = (first / second.reindex(first.index)).to_numpy()
            ratios[d] = SampleMedian(pairs, scale=choose_scale(column))
        else:
            ratios[d] = Ratio(SampleMedian(first.to_numpy()), SampleMedian(second.to_numpy()))
    return ratios


def _split_by_d(rows: pd.DataFrame, column: str, from_d: int, to_d: int) -> dict[int, pd.Series]:
    """d → a column by seed, in the order of d; NaN counts as infinite."""
    if column not in rows:
        return {}
    rows = rows[(rows["d"] >= from_d) & (rows["d"] <= to_d)]
    return {
        int(d): group.set_index("seed")[column].astype(float).fillna(np.inf)
        for d, group in rows.groupby("d")
    }
