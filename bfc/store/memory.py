"""A cell that lives in memory, for a notebook: the same reads and writes without a folder."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bfc.store.cells import Cell


class MemoryCell(Cell):
    """Keeps tables, JSON values and the checkpoint as objects; nothing is written to disk."""

    def __init__(self) -> None:
        super().__init__(Path("memory"))
        self._tables: dict[str, list[dict[str, Any]]] = {}
        self._values: dict[str, Any] = {}

    def rows(self, name: str = "trainings") -> list[dict[str, Any]]:
        return [dict(row) for row in self._tables.get(name, [])]

    def write_rows(self, rows: Sequence[Mapping[str, Any]], name: str = "trainings") -> None:
        """Replace a table; columns are the union of the rows' keys in first-seen order."""
        columns = dict.fromkeys(itertools.chain.from_iterable(rows))
        self._tables[name] = [{key: row.get(key) for key in columns} for row in rows]

    def read_json(self, name: str, default: Any, kind: type = dict) -> Any:
        return copy.deepcopy(self._values.get(name, default))

    def write_json(self, name: str, value: Any) -> None:
        self._values[name] = copy.deepcopy(value)

    def save_checkpoint(self, value: Mapping[str, Any]) -> None:
        """Nothing is saved: a checkpoint in memory does not survive what it is for."""

    def load_checkpoint(self) -> dict[str, Any] | None:
        return None

    def drop_checkpoint(self) -> None: ...

    @contextlib.contextmanager
    def claim(self, wait: bool = False) -> Iterator[None]:
        """No other process can reach it."""
        yield
