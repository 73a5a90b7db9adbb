"""Read a results folder into plain tables.

A folder may be copied from another machine, half written or not ours at all. Nothing in it is
therefore executed or unpickled, and whatever cannot be read becomes a sentence in ``problems``,
never an exception.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bfc.store.cell_folder import (
    UNNAMED,
    CellFolder,
    Complete,
    Unreadable,
    may_be_of_study,
    read_cell_folder,
    read_rows,
    read_values,
    study_of,
)
from bfc.store.files import first_line

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

    def study(self, name: str) -> Collected:
        """The part that study ``name`` asked for."""
        cells = self.cells[self.cells["study"] == name].reset_index(drop=True)
        ids = set(cells["cell_id"])
        return Collected(
            cells,
            _rows_of(self.trainings, ids),
            _rows_of(self.traces, ids),
            {key: value for key, value in self.environments.items() if key in ids},
            {key: value for key, value in self.tuned.items() if key in ids},
            self.sizes,
            self.problems,
        )


def _rows_of(table: pd.DataFrame, ids: set[str]) -> pd.DataFrame:
    if not len(table):
        return table
    return table[table["cell_id"].isin(ids)].reset_index(drop=True)


def read_store(
    results: str | Path, complete: Complete = lambda config: config, study: str | None = None
) -> Collected:
    """Read every cell below ``results``; an empty or absent folder gives empty tables.

    Hidden folders are passed over, and with ``study`` those that are known to be of other studies
    only. ``complete`` adds the defaults that a configuration lacks
    (:func:`bfc.experiment.stored_config.fill_defaults`).
    """
    root = Path(results)
    collector = _Collector(complete)
    folders = sorted(root.iterdir()) if root.is_dir() else []
    for folder in folders:
        is_cell = os.path.isdir(folder) and not folder.name.startswith(".")
        if is_cell and (study is None or may_be_of_study(folder, study)):
            collector.add(folder)
    return collector.collected()


class _Collector:
    """Gathers the tables cell by cell."""

    def __init__(self, complete: Complete) -> None:
        self.complete = complete
        self.cells: list[dict[str, Any]] = []
        self.settings: dict[str, dict[str, Any]] = {}
        self.heads: dict[str, dict[str, Any]] = {}
        self.trainings: list[pd.DataFrame] = []
        self.traces: list[pd.DataFrame] = []
        self.environments: dict[str, dict[str, Any]] = {}
        self.tuned: dict[str, dict[str, Any]] = {}
        self.sizes: dict[str, set[str]] = {}
        self.problems: list[str] = []

    def add(self, folder: Path) -> None:
        try:
            cell = read_cell_folder(folder, self.complete)
        except Unreadable as reason:
            self.problems.append(f"{folder.name}: {reason}; skipped")
            return
        except OSError as error:  # of another user, or on a disk that fails
            reason_text = error.strerror or first_line(error)
            self.problems.append(f"{folder.name}: cannot be read ({reason_text}); skipped")
            return
        if cell.state != "done":
            self.problems.append(
                f"{folder.name}: is {cell.state}; the {len(cell.rows)} trainings stored so far "
                "are used"
            )
        self._add_optional_files(folder)
        self._add_rows(folder.name, cell)

    def _add_optional_files(self, folder: Path) -> None:
        """What a cell holds beside its trainings; what cannot be read of it is left out."""
        cell_id = folder.name
        try:
            self.environments[cell_id] = read_values(folder / "environment.json", dict)
        except (Unreadable, OSError) as reason:
            self.problems.append(f"{cell_id}: {reason}")
        try:
            if (folder / "tuned.json").is_file():
                self.tuned[cell_id] = read_values(folder / "tuned.json", dict)
        except (Unreadable, OSError) as reason:
            self.problems.append(f"{cell_id}: {reason}")
        try:
            if (folder / "trace.parquet").is_file():
                rows = read_rows(folder / "trace.parquet", ("n", "seed"))
                self.traces.append(rows.assign(cell_id=cell_id))
        except (Unreadable, OSError) as reason:
            self.problems.append(f"{cell_id}: {reason}")

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
        for request in cell.requests:
            if request.get("size"):
                self.sizes.setdefault(study_of(request), set()).add(str(request["size"]))
        self.trainings.append(cell.rows.astype(object).assign(cell_id=cell_id))

    def collected(self) -> Collected:
        return Collected(
            self._cells_table(),
            self._trainings_table(),
            self._traces_table(),
            self.environments,
            self.tuned,
            self.sizes,
            self.problems,
        )

    def _cells_table(self) -> pd.DataFrame:
        if not self.cells:
            return pd.DataFrame()
        table = pd.DataFrame(self.cells).astype(object)
        return table.where(table.notna(), None).astype({"d": int, "L": int, "degree": int})

    def _trainings_table(self) -> pd.DataFrame:
        """Probes' columns come after all others."""
        if not self.trainings:
            return pd.DataFrame()
        settings = pd.DataFrame.from_dict(self.settings, orient="index").astype(object)
        rows = pd.concat(self.trainings, ignore_index=True).apply(_of_one_type)
        names = [name for name in rows if name != "cell_id"]
        columns = ["cell_id", *sorted(names, key=lambda name: "/" in name)]
        return rows[columns].join(settings.apply(_of_one_type), on="cell_id")

    def _traces_table(self) -> pd.DataFrame:
        if not self.traces:
            return pd.DataFrame()
        heads = pd.DataFrame.from_dict(self.heads, orient="index")
        return pd.concat(self.traces, ignore_index=True).join(heads, on="cell_id")


def _of_one_type(values: pd.Series[Any]) -> pd.Series[Any]:
    """The column with one type, so that it can be written: text where types are mixed."""
    types = {type(value) for value in values.dropna()}
    if types <= {int, float}:
        return values.astype(int if types == {int} and values.notna().all() else float)
    if types == {bool} and values.notna().all():
        return values.astype(bool)
    return values.map(_as_text).astype(object)


def _as_text(value: Any) -> str | None:
    return None if value is None or value != value else str(value)
