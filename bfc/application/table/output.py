"""Writes a table from what is stored, and says in a few lines what it holds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

from analysis.field_table.comparison import list_changes
from analysis.field_table.files import to_json, write_files
from analysis.field_table.page import render_table
from analysis.field_table.picture import draw_picture
from analysis.field_table.requests import (
    ColumnRequest,
    EntryRequest,
    RowRequest,
    TableRequest,
)
from analysis.field_table.table import FieldTable, Provenance, estimate_table
from bfc.application.table.entries import PlannedEntry
from bfc.application.table.options import TableOptions
from bfc.durations import format_prediction
from bfc.experiment import cost
from bfc.experiment.stored_config import fill_defaults
from bfc.store.atomic import replace_file
from bfc.store.reading import read_store
from bfc.streams import print_line

PAGE = "index.html"
PICTURE = "table.png"


def read_table(
    options: TableOptions,
    eps: float,
    entries: Sequence[PlannedEntry],
    failures: Mapping[PlannedEntry, str],
    budget: str,
) -> FieldTable:
    """The table of ``entries`` from what is stored of them.

    ``failures``: why jobs of the last run failed; of earlier runs the store knows. ``budget``: of
    the last run.
    """
    results = options.find_folder() / "results"
    model = cost.fit_cost_model([str(results)])
    rows = {entry.row.name: entry.row for entry in entries}
    columns = {entry.column.name: entry.column for entry in entries}
    request = TableRequest(
        size=options.size,
        eps=eps,
        rows=[RowRequest(name, row.title, row.axis, row.reference) for name, row in rows.items()],
        columns=[
            ColumnRequest(name, column.title, column.uses) for name, column in columns.items()
        ],
        entries=[_request_entry(entry, failures.get(entry, ""), model) for entry in entries],
    )
    stored = read_store(results, fill_defaults)
    cells = set(chain.from_iterable(entry.cells for entry in entries))
    provenance = Provenance.from_environments(
        [values for cell, values in stored.environments.items() if cell in cells],
        version=metadata.version("bfc"),
        command=options.spell_command(),
        budget=budget,
        date=datetime.now(UTC).date().isoformat(),
    )
    return estimate_table(request, stored.trainings, provenance)


def _request_entry(entry: PlannedEntry, failure: str, model: cost.Cost) -> EntryRequest:
    return EntryRequest(
        row=entry.row.name,
        column=entry.column.name,
        cells=entry.cells,
        refusal=entry.refusal,
        failure=failure or entry.find_failure(),
        theory=entry.theory,
        seconds_left=entry.list_missing(model).seconds,
    )


def write_table(table: FieldTable, folder: Path) -> None:
    """Write the page and the files, the page last."""
    folder.mkdir(parents=True, exist_ok=True)
    write_files(table, folder)
    draw_picture(table, folder / PICTURE)
    text = render_table(table)
    replace_file(folder / PAGE, lambda path: path.write_text(text, encoding="utf-8"))


def print_summary(table: FieldTable, folder: Path) -> None:
    """How many entries have which status, and where the page is."""
    counts: dict[str, int] = {}
    for entry in table.entries:
        counts[entry.status.value] = counts.get(entry.status.value, 0) + 1
    listed = ", ".join(f"{count} {status}" for status, count in counts.items())
    print_line(f"{len(table.entries)} entries: {listed}")
    seconds_left = math.fsum(entry.seconds_left for entry in table.entries)
    if seconds_left:
        print_line(f"not run yet: {format_prediction(seconds_left)} of one core")
    print_line(f"page: {folder / PAGE}")


def print_changes(snapshot: Mapping[str, Any], table: FieldTable) -> int:
    """Print the entries that moved since a snapshot; returns their number."""
    changes = list_changes(snapshot, json.loads(json.dumps(to_json(table))))
    for change in changes:
        print_line(f"moved: {change.row} × {change.column}: {change.sentence}")
    date = snapshot.get("date", "unknown date")
    print_line(f"{len(changes)} {'entry' if len(changes) == 1 else 'entries'} moved since {date}")
    return len(changes)
