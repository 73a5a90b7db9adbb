"""Anyone's data frame as one with plain columns: names, index and levels put in order.

It exists apart from the reading of values because a column that is not found is the quietest way
to a wrong number: ``Diverged`` or ``diverged`` in the index would simply not be read.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bfc.errors import UserError, nearest
from bfc.stats.table_notices import RenamedColumn, TableNotice, UnreadColumn

REQUIRED = ("n", "seed", "risk")
OPTIONAL = ("d", "outcome", "kind", "diverged", "train_risk", "fresh")
ONE_VALUE = ("target", "method")
"""Columns of :func:`bfc.run` and of a store whose values have no common n*."""
CLOSE = 0.8
"""Likeness (of difflib) from which a column's name is taken for a slip of one that is read."""


def tidy_frame(
    trainings: pd.DataFrame, required: Sequence[str] = REQUIRED
) -> tuple[pd.DataFrame, list[TableNotice]]:
    """The table with one level of columns, named as they are read, and a plain index.

    Columns are taken from the index where they are levels of it, and under a name in capitals or
    with spaces around it. Raises :class:`bfc.errors.UserError` where a column is missing or there
    twice.
    """
    if not isinstance(trainings, pd.DataFrame):
        raise UserError(f"trainings={type(trainings).__name__}: must be a pandas DataFrame")
    table = _reset_index(_flatten_columns(trainings))
    names, notices = _match_names(list(table.columns))
    table.columns = pd.Index(names, dtype=object)
    known = {*REQUIRED, *OPTIONAL, *ONE_VALUE}
    repeated = sorted({name for name in names if name in known and names.count(name) > 1})
    if repeated:
        raise UserError(f"trainings: has more than one column {repeated[0]}; must have one")
    for name in required:
        if name not in names:
            raise UserError(f"trainings: has no column {name}; {nearest(name, map(str, names))}")
    return table, [*notices, *_find_unread_columns(names)]


def _flatten_columns(table: pd.DataFrame) -> pd.DataFrame:
    """The same columns with one level, where the others say nothing."""
    if not isinstance(table.columns, pd.MultiIndex):
        return table
    names = []
    for labels in table.columns:
        words = [label for label in labels if str(label).strip()]
        names.append(words[0] if len(words) == 1 else tuple(labels))
    if any(isinstance(name, tuple) for name in names):
        levels = [i for i in range(table.columns.nlevels) if _varies(table.columns, i)]
        if len(levels) != 1:
            example = ", ".join(map(str, table.columns[-1]))
            raise UserError(
                f"trainings: has columns of {table.columns.nlevels} levels such as ({example}); "
                "must have one name per column"
            )
        names = list(table.columns.get_level_values(levels[0]))
    flat = table.copy()
    flat.columns = pd.Index(names, dtype=object)
    return flat


def _varies(columns: pd.MultiIndex, level: int) -> bool:
    return bool(columns.get_level_values(level).nunique() > 1)


def _reset_index(table: pd.DataFrame) -> pd.DataFrame:
    """A copy with the index 0 … N − 1; levels that have a name, or hold texts, become columns.

    A method or a learning rate in the index, or the keys of ``pd.concat``, tells settings apart as
    well as a column does. Levels of unnamed numbers are row numbers.
    """
    present = {_plain_name(name) for name in table.columns}
    columns: dict[Any, Any] = {}
    for level, name in enumerate(table.index.names):
        values = table.index.get_level_values(level)
        if name is None and not pd.api.types.is_numeric_dtype(values.dtype):
            name = f"index {level}"
        if name is not None and _plain_name(name) not in present:
            columns[name] = values.array
    table = table.reset_index(drop=True)
    for name, values in columns.items():
        table[name] = values
    return table


def _plain_name(name: object) -> object:
    return name.strip().lower() if isinstance(name, str) else name


def _match_names(names: Sequence[Any]) -> tuple[list[Any], list[TableNotice]]:
    """The names as they are read, and those that were written in another way."""
    matched = list(names)
    notices: list[TableNotice] = []
    for known in (*REQUIRED, *OPTIONAL, *ONE_VALUE):
        if known in matched:
            continue
        for i, name in enumerate(names):
            if _plain_name(name) == known:
                matched[i] = known
                notices.append(RenamedColumn(str(name), known))
    return matched, notices


def _find_unread_columns(names: Sequence[Any]) -> list[TableNotice]:
    """Columns that are probably meant for an optional one that is not there."""
    notices: list[TableNotice] = []
    texts = [name for name in names if isinstance(name, str)]
    unknown = [name for name in texts if name not in (*REQUIRED, *OPTIONAL)]
    for known in OPTIONAL:
        if known in names:
            continue
        for name in difflib.get_close_matches(known, unknown, n=1, cutoff=CLOSE):
            notices.append(UnreadColumn(name, known))
    return notices
