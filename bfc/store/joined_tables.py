"""Joins the rows of many cells into one table, column by column.

Cells store different columns, several hundred in a store of many studies, of which each has a few.
So a column is made of the cells that have it and is missing elsewhere, with one type for all rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from bfc.store.cell_rows import Columns, count_rows

NUMERIC = frozenset({int, float})


def join_rows(cells: Mapping[str, Columns]) -> dict[str, np.ndarray]:
    """Column → values of all rows, cell after cell; ``cells``: id → its rows.

    ``cell_id`` comes first, the columns of probes (``<what>/<level>``) after all others.
    """
    sizes = [count_rows(columns) for columns in cells.values()]
    starts = np.cumsum([0, *sizes])
    parts: dict[str, list[tuple[int, list[Any]]]] = {}
    for start, columns in zip(starts, cells.values(), strict=False):
        for name, values in columns.items():
            parts.setdefault(name, []).append((int(start), values))
    ids = np.repeat(np.array(list(cells), dtype=object), sizes)
    names = sorted(parts, key=lambda name: "/" in name)
    return {"cell_id": ids} | {name: _fill(parts[name], int(starts[-1])) for name in names}


def spread_settings(
    settings: Sequence[Mapping[str, Any]], sizes: Sequence[int]
) -> dict[str, np.ndarray]:
    """Column → values of all rows; ``settings``: one mapping per cell, ``sizes``: its rows."""
    names = dict.fromkeys(chain.from_iterable(settings))
    return {
        name: np.repeat(_of_one_type([mapping.get(name) for mapping in settings]), sizes)
        for name in names
    }


def make_table(columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The columns as a table, texts as objects."""
    series = {}
    for name, values in columns.items():
        series[name] = pd.Series(values, dtype=values.dtype, copy=False)
    return pd.DataFrame(series)


def _fill(parts: Sequence[tuple[int, list[Any]]], size: int) -> np.ndarray:
    """A column of ``size`` rows from the values of some cells, each with its first row."""
    types = _list_types(chain.from_iterable(values for _, values in parts))
    is_complete = sum(len(values) for _, values in parts) == size
    if types == {int} and is_complete:
        column = np.empty(size, dtype=np.int64)
    elif types <= NUMERIC:
        column = np.full(size, np.nan)
    else:
        column = np.full(size, None, dtype=object)
    for start, values in parts:
        column[start : start + len(values)] = values
    return column if column.dtype != object else _of_one_type(column.tolist())


def _of_one_type(values: list[Any]) -> np.ndarray:
    """The column with one type, so that it can be written: text where types are mixed."""
    types = _list_types(values)
    is_complete = None not in types
    types.discard(None)
    if types <= NUMERIC:
        return np.array(values, dtype=np.int64 if types == {int} and is_complete else float)
    if types == {bool} and is_complete:
        return np.array(values, dtype=bool)
    column = np.empty(len(values), dtype=object)
    column[:] = [_as_text(value) for value in values]
    return column


def _list_types(values: Iterable[Any]) -> set[type | None]:
    """The types of the values, None for a missing one beside others than numbers."""
    return {None if value is None else type(value) for value in values}


def _as_text(value: Any) -> str | float:
    """The value as text; NaN for a missing one, as pandas has it."""
    return math.nan if value is None or value != value else str(value)
