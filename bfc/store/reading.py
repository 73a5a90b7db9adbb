"""Read a results folder into plain tables.

A folder may be copied from another machine, half written or not ours at all. Nothing in it is
therefore executed or unpickled, and whatever cannot be read becomes a sentence in ``problems``,
never an exception.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from bfc.store.cell_folder import (
    UNNAMED,
    CellFiles,
    CellFolder,
    Complete,
    may_be_of_study,
    read_cell_folder,
    study_of,
)
from bfc.store.cell_rows import Columns, Unreadable, count_rows
from bfc.store.files import first_line
from bfc.store.joined_tables import join_rows, make_table, spread_settings

__all__ = ["UNNAMED", "Collected", "read_store"]


@dataclass
class Collected:
    """A results folder as tables."""

    cells: pd.DataFrame
    """One row per (study, cell): ``study, cell_id, method, target, d, L, degree, eps`` (a tuple),
    ``state`` and one column per flattened configuration key. A cell that two studies asked for has
    two rows."""
    trainings: pd.DataFrame
    """One row per training: ``cell_id``, the stored columns, ``studies, method, target, d, L,
    degree`` and the flattened configuration (``config.<key>``)."""
    traces: pd.DataFrame = field(default_factory=pd.DataFrame)
    """What probes measured during trainings, one row per evaluation, with ``cell_id``."""
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Cell id → stored environment."""
    tuned: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Cell id → what tuning chose and tried."""
    sizes: dict[str, set[str]] = field(default_factory=dict)
    """Study → the sizes of it that were asked for."""
    problems: list[str] = field(default_factory=list)
    """Sentences about what was skipped."""
    columns: dict[str, frozenset[str]] = field(default_factory=dict)
    """Cell id → the columns of :attr:`trainings` that it has; all where it is not listed."""

    def study(self, name: str) -> Collected:
        """The part that study ``name`` asked for, without columns that only other cells have."""
        cells = self.cells[self.cells["study"] == name].reset_index(drop=True)
        ids = set(cells["cell_id"])
        return Collected(
            cells,
            _rows_of(self.trainings, ids, self._list_columns(ids)),
            _rows_of(self.traces, ids, list(self.traces)),
            {key: value for key, value in self.environments.items() if key in ids},
            {key: value for key, value in self.tuned.items() if key in ids},
            self.sizes,
            self.problems,
            {key: value for key, value in self.columns.items() if key in ids},
        )

    def keep_studies(self, names: Collection[str]) -> Collected:
        """The part that some studies asked for."""
        return replace(self, cells=self.cells[self.cells["study"].isin(names)])

    def _list_columns(self, ids: set[str]) -> list[str]:
        """The columns of the trainings that some of these cells have, in their order."""
        if not ids <= self.columns.keys():
            return list(self.trainings)
        names = frozenset().union(*{self.columns[cell_id] for cell_id in ids})
        return [name for name in self.trainings if name in names]


def _rows_of(table: pd.DataFrame, ids: set[str], columns: Sequence[str]) -> pd.DataFrame:
    if not len(table):
        return table
    return table.loc[table["cell_id"].isin(ids), columns].reset_index(drop=True)


def read_store(
    results: str | Path, complete: Complete = lambda config: config, study: str | None = None
) -> Collected:
    """Read every cell below ``results``; an empty or absent folder gives empty tables.

    Hidden folders are passed over, and with ``study`` those that are known to be of other studies
    only. ``complete`` adds the defaults that a configuration lacks
    (:func:`bfc.experiment.stored_config.fill_defaults`).
    """
    folders = list_cell_folders(results)
    if study is not None:
        folders = [folder for folder in folders if may_be_of_study(folder, study)]
    return collect_cells(folders, [None] * len(folders), complete)


def collect_cells(
    folders: Sequence[Path], files: Sequence[CellFiles | None], complete: Complete
) -> Collected:
    """The cells of these folders; their ``files``, where they are None, are read here."""
    collector = _Collector(complete)
    for folder, read in zip(folders, files, strict=True):
        collector.add(folder, read)
    return collector.collected()


def list_cell_folders(results: str | Path) -> list[Path]:
    """The folders below ``results`` that are not hidden, by name."""
    root = Path(results)
    folders = sorted(root.iterdir()) if root.is_dir() else []
    return [path for path in folders if os.path.isdir(path) and not path.name.startswith(".")]


class _Collector:
    """Gathers the tables cell by cell."""

    def __init__(self, complete: Complete) -> None:
        self.complete = complete
        self.cells: list[dict[str, Any]] = []
        self.heads: dict[str, dict[str, Any]] = {}
        self.settings: dict[str, dict[str, Any]] = {}
        self.trainings: dict[str, Columns] = {}
        self.traces: dict[str, Columns] = {}
        self.environments: dict[str, dict[str, Any]] = {}
        self.tuned: dict[str, dict[str, Any]] = {}
        self.sizes: dict[str, set[str]] = {}
        self.problems: list[str] = []

    def add(self, folder: Path, files: CellFiles | None) -> None:
        name = folder.name
        try:
            cell = read_cell_folder(folder, self.complete, files)
        except Unreadable as reason:
            self.problems.append(f"{name}: {reason}; skipped")
            return
        except OSError as error:  # of another user, or on a disk that fails
            reason_text = error.strerror or first_line(error)
            self.problems.append(f"{name}: cannot be read ({reason_text}); skipped")
            return
        if cell.state != "done":
            self.problems.append(
                f"{name}: is {cell.state}; the {count_rows(cell.files.rows)} trainings stored so "
                "far are used"
            )
        self.problems += [f"{name}: {problem}" for problem in cell.files.problems]
        self._add_optional_files(name, cell.files)
        self._add_rows(name, cell)

    def _add_optional_files(self, cell_id: str, files: CellFiles) -> None:
        """What a cell holds beside its trainings."""
        if files.environment is not None:
            self.environments[cell_id] = files.environment
        if files.tuned is not None:
            self.tuned[cell_id] = files.tuned
        if files.trace is not None:
            self.traces[cell_id] = files.trace

    def _add_rows(self, cell_id: str, cell: CellFolder) -> None:
        eps_by_study, head, settings = cell.eps_by_study(), cell.head, cell.settings
        for study, eps in eps_by_study.items():
            row = {"study": study, "cell_id": cell_id, **head, "eps": eps, "state": cell.state}
            self.cells.append({**row, **settings})
        self.heads[cell_id] = head
        self.settings[cell_id] = {
            "studies": "; ".join(eps_by_study),
            **head,
            **{f"config.{key}": value for key, value in settings.items()},
        }
        for request in cell.files.requests:
            if request.get("size"):
                self.sizes.setdefault(study_of(request), set()).add(str(request["size"]))
        self.trainings[cell_id] = cell.files.rows

    def collected(self) -> Collected:
        return Collected(
            self._cells_table(),
            self._trainings_table(),
            self._traces_table(),
            self.environments,
            self.tuned,
            self.sizes,
            self.problems,
            self._list_columns(),
        )

    def _cells_table(self) -> pd.DataFrame:
        if not self.cells:
            return pd.DataFrame()
        table = pd.DataFrame(self.cells).astype(object)
        return table.where(table.notna(), None).astype({"d": int, "L": int, "degree": int})

    def _trainings_table(self) -> pd.DataFrame:
        """Probes' columns come after all others of a cell's rows, its configuration last."""
        if not self.trainings:
            return pd.DataFrame()
        sizes = [count_rows(rows) for rows in self.trainings.values()]
        settings = spread_settings(list(self.settings.values()), sizes)
        return make_table(join_rows(self.trainings) | settings)

    def _list_columns(self) -> dict[str, frozenset[str]]:
        """Cell id → the columns of the trainings that it has; equal sets are one object."""
        shared: dict[frozenset[str], frozenset[str]] = {}
        columns = {}
        for cell_id, rows in self.trainings.items():
            names = frozenset({"cell_id", *rows, *self.settings[cell_id]})
            columns[cell_id] = shared.setdefault(names, names)
        return columns

    def _traces_table(self) -> pd.DataFrame:
        if not self.traces:
            return pd.DataFrame()
        tables = [pd.DataFrame(rows).assign(cell_id=cell) for cell, rows in self.traces.items()]
        heads = pd.DataFrame.from_dict(self.heads, orient="index")
        return pd.concat(tables, ignore_index=True).join(heads, on="cell_id")
