"""Selects the trainings that a claim is about, where the method's name does not single them out.

The methods of some studies differ in their configuration (a width, a representation) and not in
their name; predicates select them by ``where``, a mapping of configuration keys, or of the columns
d, L, n and target, to values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.evidence import (
    Evidence,
    NotMeasured,
    choose_scale,
    read_by_seed,
    select_cells,
    select_one_configuration,
)
from analysis.fitted_line import FittedLine
from analysis.swept_lines import select_axis
from analysis.training_kinds import drop_confirming
from bfc.stats.estimates import Estimate, Rescaled, SampleMedian
from bfc.stats.exponent_fit import fit_exponent
from bfc.stats.median_ratio import MedianRatio
from bfc.stats.swept_axis import DIMENSION

MAX_D = 1 << 20
"""An upper end that no dimension reaches."""
PLACE = ("d", "L", "degree")
"""What tells the places apart at which the n* of two methods are compared."""
RATE = ("rate", "rate_lo", "rate_hi")
COLUMNS = ("target", "d", "L", "n")
"""Columns of trainings that ``where`` names like configuration keys."""


def select_per_d(
    evidence: Evidence,
    method: str,
    where: Mapping[str, Any] | None,
    n: int | None,
    from_d: int,
    to_d: int,
) -> pd.DataFrame:
    """:func:`select_trainings` with a d between ``from_d`` and ``to_d``, one cell per d.

    Raises :class:`analysis.evidence.NotMeasured` where one d has several configurations.
    """
    rows = select_trainings(evidence, method, where, n)
    if len(rows):
        rows = rows[rows["d"].between(from_d, to_d)]
    return select_one_configuration(rows, method, by=["d"])


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
    """The trainings whose configuration has the values of ``where``; all where it is None.

    A key that is a column of the trainings, such as ``n``, is that column. A list of lists is
    stored as one key per item (``target.sets.0``).
    """
    for key, value in _spell_out_lists(where or {}, rows).items():
        name = key if key in COLUMNS else f"config.{key}"
        if name not in rows:
            return rows.iloc[:0]
        matches = np.array([_is_equal(stored, value) for stored in rows[name]], dtype=bool)
        rows = rows[matches]
    return rows


def _spell_out_lists(where: Mapping[str, Any], rows: pd.DataFrame) -> dict[str, Any]:
    """The values with lists of lists item by item, and without an item that follows the last."""
    values: dict[str, Any] = {}
    for key, value in where.items():
        if not (isinstance(value, list) and value and isinstance(value[0], list)):
            values[key] = value
            continue
        values |= {f"{key}.{number}": item for number, item in enumerate(value)}
        if f"config.{key}.{len(value)}" in rows:
            values[f"{key}.{len(value)}"] = None
    return values


def restrict_evidence(evidence: Evidence, where: Mapping[str, Any]) -> Evidence:
    """The evidence about the trainings that :func:`filter_by_config` selects.

    Tables of fitted lines keep only the lines that hold such trainings. Raises
    :class:`analysis.evidence.NotMeasured` where there is none.
    """
    rows = filter_by_config(evidence.trainings, where)
    if rows.empty:
        values = ", ".join(f"{key} = {value}" for key, value in where.items())
        raise NotMeasured(f"no training with {values}")
    features = {}
    for feature, tables in evidence.features.items():
        measured = tables.trainings[tables.trainings["cell_id"].isin(rows["cell_id"])]
        features[feature] = _keep_trainings(tables, measured)
    return replace(_keep_trainings(evidence, rows), features=features)


def _keep_trainings(evidence: Evidence, rows: pd.DataFrame) -> Evidence:
    """The tables about the cells of these trainings."""
    part = replace(evidence, trainings=rows)
    if "line" in rows:
        others = set(evidence.trainings["line"]) - set(rows["line"])
        part = replace(
            part,
            exponents=_drop_lines(evidence.exponents, others),
            local=_drop_lines(evidence.local, others),
            depth=_drop_lines(evidence.depth, others),
        )
    if "cell_id" in part.nstar:
        part = replace(part, nstar=part.nstar[part.nstar["cell_id"].isin(rows["cell_id"])])
    return part


def _drop_lines(table: pd.DataFrame, lines: Collection[str]) -> pd.DataFrame:
    return table[~table["line"].isin(lines)] if "line" in table else table


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


def select_nstar(
    evidence: Evidence, method: str, eps: float, where: Mapping[str, Any] | None
) -> pd.DataFrame:
    """The rows of n* of one method at one eps, one per :data:`PLACE`.

    ``where``: values of the configuration that select some of its cells. Raises
    :class:`analysis.evidence.NotMeasured` where a place has several configurations.
    """
    rows = restrict_rows(select_cells(evidence, method, eps), evidence, method, where)
    if evidence.trainings.empty or rows.empty:
        return rows
    trainings = evidence.trainings_of(method)
    trainings = trainings[trainings["cell_id"].isin(rows["cell_id"])]
    chosen = select_one_configuration(trainings, method, by=PLACE)
    return rows[rows["cell_id"].isin(chosen["cell_id"])]


def find_fit(
    evidence: Evidence,
    method: str,
    eps: float,
    where: Mapping[str, Any] | None,
    axis: str = DIMENSION.name,
) -> FittedLine:
    """The fitted line of one method at one eps, whose configuration has the values of ``where``.

    ``axis``: the size that it is fitted against, d or L.
    Where the sizes of a study measured it in several ways, which makes several lines, it is fitted
    to the one configuration of every d. Raises :class:`analysis.evidence.NotMeasured` where there
    is no line, or a d has several configurations.
    """
    table = restrict_rows(select_axis(evidence.exponents, axis), evidence, method, where)
    if len(table):
        table = table[(table["method"] == method) & np.isclose(table["eps"], eps)]
    if table.empty:
        raise NotMeasured(f"no line of {method} against {axis} at eps = {eps:g}")
    if len(table) == 1:
        fit = table.iloc[0]
        estimate = Rescaled(fit["exponent"], fit["lo"], fit["hi"], in_logs=False)
        factor = _exponentiate(*(fit.get(name, math.nan) for name in RATE))
        tau = float(fit.get("tau", math.nan))
        return FittedLine(estimate, select_line(evidence, fit), tau, axis, factor)
    rows = filter_by_config(evidence.trainings, where)
    rows = select_one_configuration(rows[rows["method"] == method], method, by=[axis])
    refit = fit_exponent(rows, eps, axis=axis)
    estimate = Rescaled(refit.exponent, refit.lo, refit.hi, in_logs=False)
    factor = _exponentiate(*refit.rate)
    remark = (
        f"{method}: one fit over all {axis}; figures and tables fit each of its {len(table)} lines "
        "alone, whose settings differ, so that they show other exponents"
    )
    return FittedLine(estimate, drop_confirming(rows), refit.tau[1], axis, factor, remark)


def _exponentiate(value: float, lo: float, hi: float) -> Rescaled:
    """e^b from b and its interval."""
    return Rescaled(math.exp(value), math.exp(lo), math.exp(hi))


def _is_equal(stored: Any, value: Any) -> bool:
    """Whether a stored configuration value, whose lists are JSON texts, is ``value``.

    Where another study stores no value of a key, or one of another type, all are texts.
    """
    if value is None:
        return bool(pd.isna(stored))
    if isinstance(value, list):
        return bool(stored == json.dumps(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return math.isclose(float(stored), float(value))
        except (TypeError, ValueError):
            return False
    return str(stored) == str(value)


def select_line(evidence: Evidence, fit: pd.Series) -> pd.DataFrame:
    """The trainings of a fitted line."""
    rows = evidence.trainings_of(fit["method"])
    return rows[rows["line"] == fit["line"]] if "line" in rows and "line" in fit else rows


def estimate_medians(rows: pd.DataFrame, column: str) -> dict[int, Estimate]:
    """d → the median of a column over seeds, at every d."""
    return {
        d: SampleMedian(values.to_numpy(), scale=choose_scale(column))
        for d, values in split_by_d(rows, column).items()
    }


def estimate_ratios(
    over: Mapping[int, pd.Series], under: Mapping[int, pd.Series], column: str
) -> dict[int, Estimate]:
    """d → the ratio of a column of two methods (:func:`split_by_d`), at every d of both.

    The median of the ratios seed by seed where both have the same seeds, once each; otherwise the
    ratio of the medians.
    """
    ratios: dict[int, Estimate] = {}
    for d in sorted(over.keys() & under.keys()):
        first, second = over[d], under[d]
        is_paired = (
            first.index.is_unique
            and second.index.is_unique
            and set(first.index) == set(second.index)
            and not np.isinf(second).any()
        )
        if is_paired:
            pairs = (first / second.reindex(first.index)).to_numpy()
            ratios[d] = SampleMedian(pairs, scale=choose_scale(column))
        else:
            ratios[d] = MedianRatio(first.to_numpy(), second.to_numpy())
    return ratios


def list_cells(d: int, *tables: pd.DataFrame) -> frozenset[str]:
    """The cells of trainings at one d."""
    cells: frozenset[str] = frozenset()
    for rows in tables:
        if "cell_id" in rows:
            cells |= frozenset(rows.loc[rows["d"] == d, "cell_id"])
    return cells


def split_by_d(rows: pd.DataFrame, column: str) -> dict[int, pd.Series]:
    """d → a column by seed (:func:`analysis.evidence.read_by_seed`), in the order of d."""
    if column not in rows:
        return {}
    by_d = {int(d): read_by_seed(group, column) for d, group in rows.groupby("d")}
    return {d: values for d, values in by_d.items() if len(values)}
