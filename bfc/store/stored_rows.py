"""The tables of a cell as rows: one mapping per training, or per evaluation of a probe.

A table carries the cell that it was written for, so that one that was copied into another cell's
folder is noticed.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bfc.errors import UserError
from bfc.store.files import OWNER, current_kind, first_line, read_table, reread

if TYPE_CHECKING:
    import pyarrow

REMEDY = "move it away to measure this cell anew"


def make_table(rows: Sequence[Mapping[str, Any]], cell_id: str) -> pyarrow.Table:
    """A table of a cell; its columns are the union of the rows' keys in first-seen order."""
    import pyarrow  # here, since the library works without it

    columns: dict[str, list[Any]] = {}
    for key in dict.fromkeys(itertools.chain.from_iterable(rows)):
        columns[key] = [row.get(key) for row in rows]
    return pyarrow.table(columns).replace_schema_metadata({OWNER: cell_id})


def load_rows(path: Path, cell_id: str, required: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a table of a cell; empty if there is no such file.

    Raises :class:`UserError` where the file exists but cannot be read, is another cell's or lacks a
    required column; it is then left as it is.
    """
    if not path.exists():
        return []
    rows, owner = _read(path)
    if owner not in (None, cell_id):
        raise UserError(f"{path}: holds the results of another cell, {owner}; {REMEDY}")
    absent = [column for column in required if rows and column not in rows[0]]
    if absent:
        raise UserError(f"{path}: is not a results table, it has no {', '.join(absent)}; {REMEDY}")
    return rows


def _read(path: Path) -> tuple[list[dict[str, Any]], str | None]:
    """The rows of a table, and the cell it was written for."""
    import pyarrow

    try:
        table, owner = reread(lambda: read_table(path))
        rows: list[dict[str, Any]] = table.to_pylist()
    except (OSError, ValueError, MemoryError, pyarrow.ArrowException) as error:
        raise UserError(
            f"{path}: cannot be read as a results table ({first_line(error)}); {REMEDY}"
        ) from error
    for row in rows:
        if "kind" in row:
            row["kind"] = current_kind(row["kind"])
    return rows, owner
