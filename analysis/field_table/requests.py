"""What a table is made of: its rows, its columns, and the cells of every entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bfc.types import Theory


@dataclass(frozen=True)
class RowRequest:
    """A target; ``axis`` is what n* is fitted against, ``reference`` where n* is stated."""

    name: str
    title: str
    axis: str
    reference: int


@dataclass(frozen=True)
class ColumnRequest:
    """A method; ``uses``: what it knows beyond samples, empty for nothing."""

    name: str
    title: str
    uses: str = ""


@dataclass(frozen=True)
class EntryRequest:
    """One method on one target.

    ``refusal``: why it cannot be measured. ``failure``: why a job of it failed. ``seconds_left``:
    predicted seconds of one core for what is not stored.
    """

    row: str
    column: str
    cells: tuple[str, ...] = ()
    refusal: str = ""
    failure: str = ""
    theory: Theory | None = None
    seconds_left: float = 0.0


@dataclass(frozen=True)
class TableRequest:
    """A whole table at one relative risk ``eps``."""

    size: str
    eps: float
    rows: Sequence[RowRequest]
    columns: Sequence[ColumnRequest]
    entries: Sequence[EntryRequest]
