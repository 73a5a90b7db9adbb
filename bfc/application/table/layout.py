"""What the table holds: its rows (targets), its columns (methods) and its sizes, a file each.

``sweeps/table`` has ``field.yaml`` (order, sizes, what all entries share), ``rows/*.yaml`` and
``columns/*.yaml``. A user's own table folder may hold ``rows`` and ``columns``, too: a file there
adds one, or replaces the one of the same name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from bfc.errors import UserError, nearest, require
from bfc.experiment.components import construct
from bfc.paths import SWEEPS
from bfc.yaml_text import parse_yaml

FOLDER = SWEEPS / "table"
"""The table that comes with the program."""


@dataclass(frozen=True)
class Row:
    """A target, and at which of its sizes it is measured; see ``sweeps/table/rows``."""

    title: str
    target: tuple[str, ...]
    """Overrides that choose the target."""
    values: dict[str, tuple[int, ...]]
    """Size of the table → the values of ``swept``."""
    n: dict[str, tuple[int, int]]
    """Size of the table → smallest and largest number of samples."""
    reference: int
    """The value of ``axis`` at which n* is stated."""
    swept: str = "target.d"
    axis: Literal["d", "L"] = "d"
    """What n* is fitted against: the dimension, or the number of levels, for which targets state no
    rates. ``swept`` may be another key, such as the depth on which the dimension depends."""
    native: tuple[str, ...] = ()
    """Overrides of the learner that is built like the target; none: there is no such learner."""
    adjust: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Column → further overrides, such as the width that a network needs here."""
    name: str = ""

    def __post_init__(self) -> None:
        where = f"row {self.name}"
        require(bool(self.target), f"{where}: target", "[]", "a list of overrides")
        for size, values in self.values.items():
            valid = len(values) > 0 and list(values) == sorted(set(values))
            require(valid, f"{where}: values.{size}", list(values), "increasing integers")
            require(size in self.n, f"{where}: n", sorted(self.n), f"a mapping with {size}")
        for size, ends in self.n.items():
            valid = 1 <= ends[0] < ends[1]
            require(valid, f"{where}: n.{size}", list(ends), "two increasing integers >= 1")


@dataclass(frozen=True)
class Column:
    """A method; see ``sweeps/table/columns``."""

    title: str
    method: tuple[str, ...]
    """Overrides that choose the method."""
    native: bool = False
    """Trains the learner that is built like the target of the row."""
    theory: tuple[str, ...] = ()
    """Kinds of method whose rate a target may state for this one; the first that is stated."""
    tuned: bool = True
    """Whether a method in closed form has parameters that are chosen on tuning draws."""
    uses: str = ""
    """What the method knows beyond samples, such as the coordinates; empty: nothing."""
    name: str = ""

    def __post_init__(self) -> None:
        require(bool(self.method), f"column {self.name}: method", "[]", "a list of overrides")

    @property
    def is_baseline(self) -> bool:
        """Whether it is fitted in closed form, with a whole learning curve per seed."""
        return any(text.startswith("baseline=") for text in self.method)


@dataclass(frozen=True)
class Overrides:
    """Settings that many entries share, as the command line spells them."""

    all: tuple[str, ...] = ()
    learners: tuple[str, ...] = ()
    """Of entries whose method is trained."""
    baselines: tuple[str, ...] = ()
    """Of entries whose method is fitted in closed form and has parameters that are tuned."""

    def select(self, column: Column) -> tuple[str, ...]:
        """Those of one method."""
        if not column.is_baseline:
            return (*self.all, *self.learners)
        return (*self.all, *self.baselines) if column.tuned else self.all


@dataclass(frozen=True)
class Size:
    """What a size of the table measures, and how well."""

    rows: tuple[str, ...]
    """Names of rows in order; empty: all."""
    columns: tuple[str, ...]
    overrides: Overrides
    budget: str = "full"
    """Wall time of a run that does not say another."""


@dataclass(frozen=True)
class TableLayout:
    """The whole table."""

    eps: float
    """Relative risk at which n* is asked for."""
    common: Overrides
    """Of all sizes."""
    sizes: dict[str, Size]
    rows: dict[str, Row] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)
    added: frozenset[str] = frozenset()
    """Rows and columns that ``field.yaml`` does not list; they belong to every size."""

    def add_row(self, row: Row) -> TableLayout:
        """The table with a row more."""
        rows = {**self.rows, row.name: row}
        return replace(self, rows=rows, added=self.added | {row.name})

    def add_column(self, column: Column) -> TableLayout:
        """The table with a column more."""
        columns = {**self.columns, column.name: column}
        return replace(self, columns=columns, added=self.added | {column.name})

    def select(
        self, size: str, rows: Sequence[str] = (), columns: Sequence[str] = ()
    ) -> tuple[list[Row], list[Column]]:
        """The rows and columns of a size in order, or those that are named.

        Rows that have no values for the size are left out. Raises :class:`UserError` for a name
        that does not exist.
        """
        default_rows, default_columns = self._list_names(size)
        row_names = _choose("row", rows, default_rows, self.rows)
        column_names = _choose("column", columns, default_columns, self.columns)
        measured = [self.rows[name] for name in row_names if size in self.rows[name].values]
        unmeasured = [name for name in rows if size not in self.rows[name].values]
        if unmeasured:
            raise UserError(
                f"--row {unmeasured[0]}: has no values for size {size}; give values.{size} in "
                "its file"
            )
        return measured, [self.columns[name] for name in column_names]

    def select_with(
        self, size: str, rows: Collection[str], columns: Collection[str]
    ) -> tuple[list[Row], list[Column]]:
        """The rows and columns of a size, then further ones in the order of the table.

        Of the further ones, those that the table does not have are passed over, and so are rows
        that have no values for the size.
        """
        size_rows, size_columns = self._list_names(size)
        row_names = dict.fromkeys([*size_rows, *(name for name in self.rows if name in rows)])
        column_names = dict.fromkeys(
            [*size_columns, *(name for name in self.columns if name in columns)]
        )
        return (
            [self.rows[name] for name in row_names if size in self.rows[name].values],
            [self.columns[name] for name in column_names],
        )

    def _list_names(self, size: str) -> tuple[list[str], list[str]]:
        """The names of the rows and columns of a size; those that are added belong to all."""
        chosen = self.find_size(size)
        return (
            self._extend(chosen.rows, self.rows),
            self._extend(chosen.columns, self.columns),
        )

    def _extend(self, names: Sequence[str], known: Mapping[str, Any]) -> list[str]:
        if not names:
            return list(known)
        return [*names, *(name for name in known if name in self.added and name not in names)]

    def find_size(self, size: str) -> Size:
        """Raises :class:`UserError` for a size that does not exist."""
        if size not in self.sizes:
            raise UserError(f"--size {size}: no such size; {nearest(size, self.sizes)}")
        return self.sizes[size]


def _choose(
    kind: str, names: Sequence[str], default: Sequence[str], known: Mapping[str, Any]
) -> list[str]:
    """The names that are asked for, ``default`` where none are."""
    for name in names or default:
        if name not in known:
            raise UserError(f"--{kind} {name}: no such {kind}; {nearest(name, known)}")
    return list(dict.fromkeys(names or default))


def read_layout(folders: Sequence[Path] = ()) -> TableLayout:
    """The table of the program, with the rows and columns of further ``folders``.

    Those of ``field.yaml`` come first in its order, then the others by name. Raises
    :class:`UserError` with one sentence about the first thing that is wrong in a file.
    """
    values = _read_mapping(FOLDER / "field.yaml")
    order = {kind: values.pop(kind, []) for kind in ("rows", "columns")}
    layout: TableLayout = construct("field.yaml", TableLayout, values)
    rows: dict[str, Row] = {}
    columns: dict[str, Column] = {}
    for folder in (FOLDER, *folders):
        rows |= {path.stem: read_row(path) for path in sorted((folder / "rows").glob("*.yaml"))}
        for path in sorted((folder / "columns").glob("*.yaml")):
            columns[path.stem] = read_column(path)
    return replace(
        layout,
        rows=_sort(rows, order["rows"], "rows"),
        columns=_sort(columns, order["columns"], "columns"),
        added=frozenset({*rows, *columns}) - {*order["rows"], *order["columns"]},
    )


def read_row(path: Path) -> Row:
    """The row that a file describes; it is called like the file."""
    row: Row = construct(f"{path}", Row, {**_read_mapping(path), "name": path.stem})
    return row


def read_column(path: Path) -> Column:
    """The column that a file describes; it is called like the file."""
    column: Column = construct(f"{path}", Column, {**_read_mapping(path), "name": path.stem})
    return column


def _sort(entries: dict[str, Any], order: Sequence[str], key: str) -> dict[str, Any]:
    for name in order:
        if name not in entries:
            raise UserError(f"field.yaml: {key}: {name} has no file; {nearest(name, entries)}")
    names = [*order, *(name for name in entries if name not in order)]
    return {name: entries[name] for name in names}


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: cannot be read as YAML ({reason})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold a mapping")
    return content
