"""What a table of trainings holds besides the columns that are read: methods and settings.

Trainings of several methods, or of one method with several learning rates, have no common n*. The
columns that tell them apart are not read, so they must be looked at here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pandas as pd

from bfc.errors import UserError
from bfc.stats.columns import read_numbers
from bfc.stats.swept_axis import DIMENSION
from bfc.stats.table_frame import ONE_VALUE, OPTIONAL, REQUIRED, tidy_frame
from bfc.stats.table_notices import DriftingSettings, MixedSettings, TableNotice

MEASURED = frozenset(
    {
        *REQUIRED,
        *OPTIONAL,
        *ONE_VALUE,
        "flat",
        "hardware",
        "seconds",
        "stack",
        "steps",
        "cell_id",
        "studies",
        "validation_risk",
        "config.target.d",
        "config.measure.n",
        "config.d",
    }
)
"""Columns that differ between trainings of one setting, or whose differences others show."""
MOST_VALUES = 10
"""A column with more values at one d is a measurement and no setting."""


def check_sweep(
    trainings: pd.DataFrame, axis: str = DIMENSION.name
) -> tuple[pd.DataFrame, list[TableNotice]]:
    """A table over several d with plain columns, and what it holds besides those that are read.

    ``axis``: the column with the sizes that are called d in what follows; a d beside it is then a
    setting. A table without any column gets empty ones. Raises :class:`bfc.errors.UserError` where
    a column is missing or there twice, and for several methods or targets.
    """
    if isinstance(trainings, pd.DataFrame) and not len(trainings.columns):
        return pd.DataFrame(columns=["d", *REQUIRED], dtype=float), []
    table, notices = tidy_frame(trainings, (axis, *REQUIRED))
    if axis != DIMENSION.name:
        table = table.rename(columns={DIMENSION.name: DIMENSION.label, axis: DIMENSION.name})
    _refuse_several(table, ONE_VALUE)
    swept = frozenset({f"config.{axis}", f"config.target.{axis}"})
    return table, [*notices, *_find_settings(table, MEASURED | swept)]


def check_cell(trainings: pd.DataFrame) -> tuple[pd.DataFrame, list[TableNotice]]:
    """The same for a table of one d, whose column it may lack; several d are refused."""
    table, notices = tidy_frame(trainings)
    if "d" not in table:
        table["d"] = 1.0
    _refuse_several(table.assign(d=read_numbers(table, "d", np.nan)), (*ONE_VALUE, "d"))
    return table, [*notices, *_find_settings(table, MEASURED)]


def _refuse_several(table: pd.DataFrame, columns: tuple[str, ...]) -> None:
    for i, column in enumerate(table.columns):
        if column not in columns:
            continue
        values = sorted({_format_value(value) for value in table.iloc[:, i].dropna()})
        if len(values) > 1:
            raise UserError(
                f"trainings: hold several values of {column} ({', '.join(values)}); select one"
            )


def _format_value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _find_settings(trainings: pd.DataFrame, measured: Collection[str]) -> Iterator[TableNotice]:
    """Columns besides ``measured`` that look like settings and vary at one d, or change along d.

    One varies at a d where it has a few values there, each for several n, that do not just name
    the seeds.
    """
    sizes = {name: read_numbers(trainings, name, np.nan) for name in ("d", "n")}
    table = trainings.assign(**sizes)
    drifting = []
    has_several_rows = len(table) >= 2 * table["d"].nunique()
    for i, column in enumerate(table.columns):
        if not isinstance(column, str) or column in measured:
            continue
        values = _as_labels(table.iloc[:, i])
        if values.nunique() < 2:
            continue
        counts = values.groupby(table["d"]).nunique()
        if counts.max() == 1 and has_several_rows:
            drifting.append(column)
        elif counts.max() <= MOST_VALUES and (mixed := _find_mixed(table, values)):
            yield MixedSettings(column, *mixed)
    if drifting:
        yield DriftingSettings(tuple(drifting))


def _find_mixed(
    table: pd.DataFrame, values: pd.Series[Any]
) -> tuple[float, tuple[str, ...]] | None:
    """The first d at which a column tells settings apart, and its values there."""
    for d, rows in table.groupby("d"):
        labels = values.loc[rows.index]
        sizes = rows["n"].groupby(labels).nunique()
        names_seeds = len(sizes) == _as_labels(rows["seed"]).nunique()
        if len(sizes) > 1 and sizes.min() > 1 and not names_seeds:
            return float(d), tuple(sorted(map(str, sizes.index)))
    return None


def _as_labels(column: pd.Series[Any]) -> pd.Series[Any]:
    """Values that can be compared and counted, missing ones left missing."""
    if column.dtype.kind in "iuf":
        return column
    return column.astype(object).map(str, na_action="ignore")
