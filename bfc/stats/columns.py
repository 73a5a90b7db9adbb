"""Columns of anyone's table of trainings, read into plain arrays without trusting their types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bfc.errors import UserError, nearest
from bfc.stats.outcomes import BoolArray, FloatArray

REQUIRED = ("n", "seed", "risk")
OPTIONAL = ("d", "outcome", "kind", "diverged", "train_risk", "fresh")
TRUE_WORDS = ("true", "1", "1.0")


def check_columns(table: pd.DataFrame) -> None:
    """Refuse a table in which a needed column is missing, or one that is read is there twice.

    Raises :class:`bfc.errors.UserError`.
    """
    for name in REQUIRED:
        if name not in table:
            suggestion = nearest(name, map(str, table.columns))
            raise UserError(f"trainings: has no column {name}; {suggestion}")
    repeated = set(table.columns[table.columns.duplicated()]) & {*REQUIRED, *OPTIONAL}
    if repeated:
        raise UserError(f"trainings: has more than one column {min(repeated)}; must have one")


def read_numbers(table: pd.DataFrame, name: str, default: float) -> FloatArray:
    """A column as floats (N,), NaN where it holds no number; ``default`` where there is no column.

    Raises :class:`bfc.errors.UserError` for complex numbers and dates.
    """
    if name not in table:
        return np.full(len(table), default)
    column = table[name]
    if column.dtype.kind in "cmM":
        raise UserError(f"trainings: column {name} is of type {column.dtype}; must hold numbers")
    numbers = pd.to_numeric(column, errors="coerce")
    return np.array(numbers.to_numpy(dtype=float, na_value=np.nan), dtype=float)


def read_texts(table: pd.DataFrame, name: str, default: str) -> NDArray[np.object_]:
    """A column as strings (N,), ``default`` where a value or the column is missing."""
    if name not in table:
        return np.full(len(table), default, dtype=object)
    column = table[name]
    filled = column.astype(object).where(column.notna(), default)
    return np.array(filled.astype(str), dtype=object)


def read_flags(table: pd.DataFrame, name: str) -> BoolArray:
    """A column as truth values (N,), False where a value or the column is missing."""
    if name not in table:
        return np.zeros(len(table), dtype=bool)
    if table[name].dtype == bool:
        return np.array(table[name], dtype=bool)
    return np.array([_is_true(value) for value in table[name]], dtype=bool)


def read_seeds(table: pd.DataFrame) -> tuple[NDArray[np.int64], BoolArray]:
    """Integer codes of the seeds (N,), numbered as they appear, and where there is a seed.

    Raises :class:`bfc.errors.UserError` where seeds cannot be compared.
    """
    seed = table["seed"]
    try:
        codes = pd.factorize(seed)[0]
    except TypeError:
        raise UserError(
            "trainings: column seed holds values that cannot be compared; "
            "must hold numbers or words"
        ) from None
    return np.asarray(codes, dtype=np.int64), seed.notna().to_numpy(dtype=bool)


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() in TRUE_WORDS
