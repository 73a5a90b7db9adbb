"""Columns of anyone's table of trainings, read into plain arrays without trusting their types.

A value is read only if it can mean one thing. A number written in another way ("1,024", "5%"), a
word that is none of ours and a seed that is half a number are refused with their column and row;
words that clearly mean one of ours (``optimization_limited``, ``Diverged``, ``yes``) are read, and
reported with the table.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bfc.errors import UserError, similar
from bfc.stats.outcomes import UNJUDGED, BoolArray, FloatArray, Outcome
from bfc.stats.table_notices import FractionalSizes, ReadWord, TableNotice

KINDS = ("training", "confirmation", "curve", "online")
"""Words of the column ``kind``, besides ``probe`` of earlier versions for a confirming run."""
OUTCOMES = (*(outcome.value for outcome in Outcome), UNJUDGED)
MISSING_WORDS = frozenset({"", "nan", "na", "n/a", "#n/a", "none", "null", "<na>", "nat"})
"""Texts that stand for no value, as CSV files and ``astype(str)`` write it."""
FLAGS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
FLAG_WORDS = {"yes": True, "y": True, "t": True, "on": True}
FLAG_WORDS |= {"no": False, "n": False, "f": False, "off": False}
OTHER_WORDS: dict[str, dict[str, str]] = {
    "outcome": {
        "succeeded": Outcome.SUCCESS.value,
        "successful": Outcome.SUCCESS.value,
        "failed": UNJUDGED,
        "failure": UNJUDGED,
    },
    "kind": {"train": "training", "confirming": "confirmation"},
}
"""Column → words that clearly mean one of ours → ours."""
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.I)
_INFINITY = re.compile(r"([+-]?)inf(inity)?", re.I)
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")
_HALF_A_NUMBER = re.compile(r"[+-]?[0-9.][0-9.,' _\u00a0\u2009\u202f]*%?")
_POINT_OF_THOUSANDS = re.compile(r"[0-9]{1,3}(\.[0-9]{3})+")
LONGEST_VALUE = 40
"""Characters of a value that a sentence shows."""
T = TypeVar("T")


class _Unreadable(Exception):
    """A value that the column cannot hold."""


def read_numbers(table: pd.DataFrame, name: str, default: float) -> FloatArray:
    """A column as floats (N,), NaN where a value is missing; ``default`` where there is no column.

    Raises :class:`bfc.errors.UserError` for a value that is no number, such as "1,024", True or a
    date.
    """
    if name not in table:
        return np.full(len(table), default)
    column = table[name]
    if column.dtype.kind in "cbmM":
        raise UserError(f"trainings: column {name} is of type {column.dtype}; must hold numbers")
    if column.dtype.kind in "iuf":
        numbers_ = column.to_numpy(dtype=float, na_value=np.nan)
        return np.array(numbers_, dtype=float)
    allowed = "a number such as 1024, 0.05 or 1e-3, or empty"
    return np.array(_read_values(column, _to_number, allowed), dtype=float)


def read_sizes(
    table: pd.DataFrame, name: str, default: float
) -> tuple[FloatArray, list[TableNotice]]:
    """As :func:`read_numbers`, for sizes, with a notice where they are no whole numbers.

    ``1.024`` in a text, or among whole numbers, was probably written with points between thousands.
    Raises :class:`bfc.errors.UserError` for it.
    """
    values = read_numbers(table, name, default)
    broken = np.flatnonzero(np.isfinite(values) & (values != np.floor(values)))
    for row, value in enumerate(table[name]) if name in table else ():
        if isinstance(value, str) and _POINT_OF_THOUSANDS.fullmatch(value.strip()):
            raise UserError(_describe_thousands(name, value.strip(), row))
    if not len(broken):
        return values, []
    fractions = values[broken]
    has_three_decimals = _is_multiple(fractions, 1e-3).all()
    is_rare = 2 * len(broken) <= len(values)
    if is_rare and has_three_decimals and not _is_multiple(fractions, 1e-2).all():
        raise UserError(_describe_thousands(name, f"{fractions[0]:g}", int(broken[0])))
    return values, [FractionalSizes(name, float(fractions[0]), int(broken[0]), len(broken))]


def read_words(
    table: pd.DataFrame, name: str, allowed: tuple[str, ...], default: str
) -> tuple[NDArray[np.object_], list[TableNotice]]:
    """A column of words as ours (N,), and which of them were written in another way.

    ``default`` stands where a value or the column is missing. Raises
    :class:`bfc.errors.UserError` for a word that is not one of ``allowed`` in any spelling.
    """
    if name not in table:
        return np.full(len(table), default, dtype=object), []
    known = {word: word for word in allowed} | OTHER_WORDS[name]
    notices: dict[str, str] = {}

    def to_word(value: Any) -> str:
        if _is_missing(value):
            return default
        if not isinstance(value, str):
            raise _Unreadable
        plain = re.sub(r"[\s_-]+", "_", value.strip().lower()).replace("optimiz", "optimis")
        if plain not in known:
            raise _Unreadable
        if known[plain] != value.strip():
            notices[value.strip()] = known[plain]
        return known[plain]

    words = _read_values(table[name], to_word, f"one of {', '.join(allowed)}, or empty", allowed)
    warnings: list[TableNotice] = [ReadWord(name, *pair) for pair in notices.items()]
    return np.array(words, dtype=object), warnings


def read_flags(table: pd.DataFrame, name: str) -> tuple[BoolArray, list[TableNotice]]:
    """A column as truth values (N,), and which of them were written in another way.

    False stands where a value or the column is missing. Raises :class:`bfc.errors.UserError` for a
    value that is neither true nor false.
    """
    if name not in table:
        return np.zeros(len(table), dtype=bool), []
    if table[name].dtype == bool:
        return np.array(table[name], dtype=bool), []
    notices: dict[str, bool] = {}

    def to_flag(value: Any) -> bool:
        if _is_missing(value):
            return False
        if not isinstance(value, (str, bool, np.bool_, numbers.Real, Decimal)):
            raise _Unreadable
        plain = str(value).strip().lower()
        if plain in FLAG_WORDS:
            notices[str(value).strip()] = FLAG_WORDS[plain]
            return FLAG_WORDS[plain]
        if plain not in FLAGS:
            raise _Unreadable
        return FLAGS[plain]

    flags = _read_values(table[name], to_flag, "true or false (also 1, 0, yes, no), or empty")
    warnings: list[TableNotice] = []
    for word, meaning in notices.items():
        warnings.append(ReadWord(name, word, "true" if meaning else "false"))
    return np.array(flags, dtype=bool), warnings


def read_seeds(table: pd.DataFrame) -> tuple[NDArray[np.int64], BoolArray]:
    """Integer codes of the seeds (N,), numbered as they appear, and where there is a seed.

    Seeds are numbers or words; a number in quotes is the number. Raises
    :class:`bfc.errors.UserError` where seeds cannot be compared, where words stand among numbers,
    and for numbers written in another way.
    """
    column = table["seed"]
    if column.dtype.kind not in "iufb":
        column = pd.Series(_read_values(column, _to_seed, "a whole number or a word"), dtype=object)
        _refuse_mixed_seeds(column)
    try:
        codes = pd.factorize(column)[0]
    except TypeError:
        raise UserError(
            "trainings: column seed holds values that cannot be compared; "
            "must hold numbers or words"
        ) from None
    return np.asarray(codes, dtype=np.int64), column.notna().to_numpy(dtype=bool)


def describe_value(value: object) -> str:
    """A value as a sentence shows it, cut off where it is long."""
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _read_values(
    column: pd.Series[Any],
    convert: Callable[[Any], T],
    allowed: str,
    options: tuple[str, ...] = (),
) -> list[T]:
    """Every value converted; refuses the first that cannot be, with the number of the others."""
    converted: list[T] = []
    bad: list[tuple[int, object]] = []
    by_text: dict[str, T] = {}
    for row, value in enumerate(column.astype(object)):
        try:
            if type(value) is not str:
                converted.append(convert(value))
                continue
            if value not in by_text:
                by_text[value] = convert(value)
            converted.append(by_text[value])
        except _Unreadable:
            bad.append((row, value))
    if bad:
        raise UserError(_describe_unreadable(str(column.name), bad, allowed, options))
    return converted


def _describe_unreadable(
    name: str, bad: list[tuple[int, object]], allowed: str, options: tuple[str, ...]
) -> str:
    """The sentence about values that a column cannot hold: (row, value)."""
    row, value = bad[0]
    others = f" (and in {len(bad) - 1} more rows)" if len(bad) > 1 else ""
    hint = ""
    if close := similar(str(value), options):
        hint = f"; did you mean {close}?"
    return (
        f"trainings: {name}={describe_value(value)} in row {row}{others}: must be {allowed}{hint}"
    )


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in MISSING_WORDS
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _to_number(value: Any) -> float:
    if _is_missing(value):
        return np.nan
    if isinstance(value, str):
        return _parse_number(value.strip())
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Real, Decimal)):
        raise _Unreadable
    try:
        return float(value)
    except (OverflowError, ValueError):
        raise _Unreadable from None


def _parse_number(text: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    if match := _INFINITY.fullmatch(text):
        return -np.inf if match.group(1) == "-" else np.inf
    raise _Unreadable


def _to_seed(value: Any) -> Any:
    """A seed as it is compared: a whole number also where it is written as a text or a float."""
    if _is_missing(value):
        return None
    if isinstance(value, str):
        text = value.strip()
        if _WHOLE.fullmatch(text):
            return int(text.partition(".")[0])
        if _HALF_A_NUMBER.fullmatch(text) and not _NUMBER.fullmatch(text):
            raise _Unreadable
        return text
    if isinstance(value, (numbers.Real, Decimal)) and value == value // 1:
        return math.floor(value)
    return value


def _refuse_mixed_seeds(seeds: pd.Series[Any]) -> None:
    """Refuse words among numbers, which are probably numbers written in another way."""
    is_word = np.array([isinstance(seed, str) for seed in seeds], dtype=bool)
    is_number = np.array([isinstance(seed, numbers.Real) for seed in seeds], dtype=bool)
    if not (is_word.any() and is_number.any()):
        return
    rarer = is_word if is_word.sum() <= is_number.sum() else is_number
    row = int(np.flatnonzero(rarer)[0])
    raise UserError(
        f"trainings: seed={describe_value(seeds.iloc[row])} in row {row}: must be a number in all "
        "rows, or a word in all rows"
    )


def _describe_thousands(name: str, value: str, row: int) -> str:
    return (
        f"trainings: {name}={value} in row {row}: must be a whole number, without a point between "
        "thousands"
    )


def _is_multiple(values: FloatArray, unit: float) -> BoolArray:
    """Where a value is a multiple of ``unit``, up to rounding."""
    ratio = values / unit
    return np.asarray(np.abs(ratio - np.rint(ratio)) < 1e-6)
