"""Tables as the page and the terminal show them: records with a text and a key to sort by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PROSE = 30
"""Characters from which a cell's text is prose."""
NOTHING = "nothing to show"
NO_VALUE = "–"
"""Shown for a number that is unknown."""
SORT_KEYS = {"nan": "", "inf": "Infinity", "-inf": "-Infinity"}
"""Numbers whose text differs between Python and the page's script."""


@dataclass(frozen=True)
class TableCell:
    """A table cell: what is read, and what it is sorted by."""

    text: str
    sort: Any

    @property
    def key(self) -> str:
        """The sort key as the page's script reads it.

        A number, a text, or nothing where it is unknown.
        """
        text = str(self.sort)
        return SORT_KEYS.get(text, text)


@dataclass(frozen=True)
class PageTable:
    """A table as the template shows it."""

    columns: list[str]
    rows: list[list[TableCell]] = field(default_factory=list)
    numbers: frozenset[str] = frozenset()
    """Columns of numbers."""
    wide: frozenset[str] = frozenset()
    """Columns of prose, which need room."""
    empty: str = NOTHING
    """Shown in place of a table without rows."""
    constant: str = ""
    """What all rows share."""


def make_page_table(
    records: Sequence[Mapping[str, Any]], empty: str = NOTHING, fold: Sequence[str] = ()
) -> PageTable:
    """A table of records with equal keys.

    A value is shown as it is, a tuple as the parts of a :class:`TableCell`. Columns named in
    ``fold`` that hold one value in all rows are named once above the table.
    """
    if not records:
        return PageTable([], empty=empty)
    shared = _find_shared_values(records, fold)
    columns = [name for name in records[0] if name not in shared]
    rows = [[_make_cell(record[name]) for name in columns] for record in records]
    numbers = set()
    wide = set()
    for number, column in enumerate(columns):
        cells = [row[number] for row in rows]
        if all(isinstance(cell.sort, (int, float, np.number)) for cell in cells):
            numbers.add(column)
        if max(len(cell.text) for cell in cells) > PROSE:
            wide.add(column)
    parts = [
        f"{name}: {format_table_value(value)}" for name, value in shared.items() if value != ""
    ]
    return PageTable(columns, rows, frozenset(numbers), frozenset(wide), empty, ", ".join(parts))


def _find_shared_values(
    records: Sequence[Mapping[str, Any]], fold: Sequence[str]
) -> dict[str, Any]:
    """The columns of ``fold`` that hold one value in all records, with that value."""
    shared = {}
    for name in fold:
        if name in records[0] and len({record[name] for record in records}) == 1:
            shared[name] = records[0][name]
    return shared


def _make_cell(value: Any) -> TableCell:
    return (
        TableCell(*value)
        if isinstance(value, tuple)
        else TableCell(format_table_value(value), value)
    )


def format_table_value(value: Any) -> str:
    """A value as a reader would write it."""
    if value is None:
        return ""
    if isinstance(value, (float, np.floating)):
        return format_number(float(value)) if math.isfinite(value) else str(value)
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def format_number(value: float, digits: int = 3) -> str:
    """A number in so many digits, large ones with separators; a dash where it is unknown."""
    if not math.isfinite(value):
        return NO_VALUE
    text = f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"
    return f"−{text[1:]}" if text.startswith("-") else text
