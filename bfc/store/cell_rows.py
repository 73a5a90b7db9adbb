"""Read a table of trainings as columns of plain values.

A store has a table per cell, most of them small, so that making a data frame of each would take
longer than reading the files. What is read here is joined once (:mod:`bfc.store.joined_tables`),
and can be kept as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow

from bfc.store.files import EARLIER_KINDS, read_table

NUMBERS = ("risk", "train_risk", "seconds", "steps")
"""Columns of numbers, beside those of probes (``<what>/<level>``)."""
DEFAULT_TEXTS = {"kind": "training", "outcome": "unjudged", "validation": "none"}
"""Columns of text → what an absent one stands for."""

Columns = dict[str, list[Any]]
"""Name → the values of all rows: numbers, texts, booleans or None."""


class Unreadable(Exception):
    """A folder that is not a readable cell; the message completes "<folder>: ..."."""


def read_rows(path: Path, required: Sequence[str]) -> Columns:
    """The rows of a table; numbers are numbers, and absent texts have their defaults.

    Raises :class:`Unreadable`.
    """
    if not path.is_file():
        raise Unreadable("no trainings stored yet")
    try:
        table, _ = read_table(path)
        names = [*map(str, table.column_names)]
        missing = [name for name in required if name not in names]
        if missing or not table.num_rows:
            raise Unreadable(f"{path.name} has no {', '.join(missing) or 'rows'}")
        columns = {
            name: _read_column(name, values)
            for name, values in zip(names, table.columns, strict=True)
        }
    except (OSError, ValueError, OverflowError, pyarrow.ArrowException) as error:
        raise Unreadable(f"{path.name} cannot be read") from error
    try:
        columns |= {name: _to_integers(columns[name]) for name in ("n", "seed")}
    except (TypeError, ValueError, OverflowError) as error:
        raise Unreadable(f"{path.name} has an n or a seed that is no integer") from error
    for name, default in DEFAULT_TEXTS.items():
        texts = columns.get(name, [default] * table.num_rows)
        columns[name] = [default if _is_missing(text) else text for text in texts]
    columns["kind"] = [EARLIER_KINDS.get(kind, kind) for kind in columns["kind"]]
    return columns


def count_rows(columns: Columns) -> int:
    """How many rows there are."""
    return len(columns["seed"])


def _read_column(name: str, values: pyarrow.ChunkedArray) -> list[Any]:
    """The values of a column, those of a column of numbers as floating-point numbers."""
    kind = values.type
    is_whole = pyarrow.types.is_integer(kind) and not values.null_count
    is_plain = pyarrow.types.is_string(kind) or pyarrow.types.is_boolean(kind)
    if name in NUMBERS or "/" in name:
        if not pyarrow.types.is_float64(kind):
            numbers = pd.to_numeric(values.to_pandas(), errors="coerce").astype(float)
            return list(map(float, numbers))
        return [math.nan if value is None else value for value in values.to_pylist()]
    plain: list[Any]
    if is_whole or is_plain:
        plain = values.to_pylist()
    else:
        plain = values.to_pandas().astype(object).tolist()
    return plain


def _to_integers(values: list[Any]) -> list[int]:
    if all(type(value) is int for value in values):
        return values
    integers: list[int] = pd.Series(values).astype(int).tolist()
    return integers


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value != value
