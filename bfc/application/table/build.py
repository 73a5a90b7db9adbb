"""``bfc table``: plan, run what is missing within a budget, estimate, write.

Everything is in one folder: ``results`` (an ordinary store), ``rows`` and ``columns`` (a user's
additions), and the table as a page and as files.
"""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path

from analysis.field_table.comparison import list_moves, read_snapshot
from analysis.field_table.entries import estimate_entries
from analysis.field_table.files import FieldTable, tabulate_entries, to_json, write_files
from analysis.field_table.page import render_table
from analysis.field_table.picture import draw_picture
from analysis.field_table.ranking import profile_methods, rank_methods
from analysis.field_table.requests import (
    ColumnRequest,
    EntryRequest,
    RowRequest,
    TableRequest,
)
from analysis.progress_message import track
from bfc.application.budget import budget_seconds
from bfc.application.job_feed import JobFeed
from bfc.application.reproduce import EXIT_INTERRUPTED, StopRequest
from bfc.application.table.additions import add_to_table
from bfc.application.table.entries import MissingJobs, PlannedEntry, plan_entries
from bfc.application.table.launching import launch_entries
from bfc.application.table.layout import Layout, read_layout
from bfc.application.table.running import TableRun
from bfc.durations import format_duration
from bfc.environment import code_origin, hardware, resolve_device
from bfc.errors import require
from bfc.experiment import cost
from bfc.experiment.stored_config import fill_defaults
from bfc.launch.devices import usable_cores
from bfc.paths import local_path
from bfc.store.atomic import replace_file
from bfc.store.reading import read_store
from bfc.streams import print_line

PAGE = "index.html"
PICTURE = "table.png"
EXIT_MOVED = 1
"""Exit status where ``--compare`` finds entries that moved, or a job failed."""


@dataclass(frozen=True)
class TableOptions:
    """What ``bfc table`` was asked for; see its help."""

    size: str
    budget: str
    folder: str
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    add: Sequence[str] | None = None
    """What is added to the table; None: nothing."""
    compare: str | None = None
    cores: int | None = None
    plan: bool = False
    launcher: Sequence[str] = ()
    """Overrides of a launcher, such as ``hydra/launcher=slurm``; none: this machine, now."""
    overrides: Sequence[str] = ()


def build_table(options: TableOptions) -> int:
    """Make the table; returns the exit status.

    0; 1 where a job failed or, with ``compare``, an entry moved; 130 where an interrupt ended it
    (the table is written in any case). Raises :class:`UserError` before anything is run.
    """
    start = time.monotonic()
    seconds = budget_seconds(options.budget)
    cores = options.cores
    require(cores is None or cores >= 1, "--cores", cores, "an integer >= 1")
    folder = local_path(options.folder, "--folder").resolve()
    snapshot = read_snapshot(Path(options.compare)) if options.compare else None
    layout = read_layout([folder])
    if options.add is not None:
        layout = add_to_table(layout, options.size, options.add, folder)
    entries = plan_table(layout, options, folder)
    if options.plan:
        print_plan(entries, cores or usable_cores())
        return 0
    if options.launcher:
        launch_entries(entries, options.launcher)
    failures: dict[tuple[str, str], str] = {}
    interrupted = False
    if not options.launcher:
        failures, interrupted = run_entries(entries, options, folder, start + seconds)
    table = estimate_table(layout, options, entries, failures, folder)
    write_table(table, folder)
    print_summary(table, folder)
    moved = print_moves(snapshot, table) if snapshot is not None else 0
    if interrupted:
        print_line("interrupted: the same command goes on where this one stopped")
        return EXIT_INTERRUPTED
    return EXIT_MOVED if failures or moved else 0


def run_entries(
    entries: Sequence[PlannedEntry], options: TableOptions, folder: Path, deadline: float
) -> tuple[dict[tuple[str, str], str], bool]:
    """Run what is missing here; returns the failures, and whether an interrupt ended it."""
    with StopRequest.listening() as stop:
        run = TableRun(
            entries,
            JobFeed[MissingJobs](options.cores or usable_cores()),
            partial(cost.fit_cost_model, [str(folder / "results")]),
            time.monotonic,
            deadline,
            lambda: stop.is_set,
            print_line,
        )
        run.run()
        return run.failures, stop.is_set


def plan_table(layout: Layout, options: TableOptions, folder: Path) -> list[PlannedEntry]:
    """All entries, composed."""
    rows, columns = layout.select(options.size, options.rows, options.columns)
    planned = plan_entries(
        layout, options.size, rows, columns, folder / "results", options.overrides
    )
    total = [None] * (len(rows) * len(columns))
    entries = iter(planned)
    composed = [next(entries) for _ in track(total, "composing the entries")]
    list(entries)  # the checks that follow the last entry
    return composed


def print_plan(entries: Sequence[PlannedEntry], cores: int) -> None:
    """What every entry would cost, and why some cannot be measured."""
    model = cost.Cost()
    total = 0.0
    for entry in entries:
        name = f"{entry.row.name} × {entry.column.name}"
        if entry.refusal:
            print_line(f"{name}: cannot run: {entry.refusal}")
            continue
        missing = entry.list_missing(model)
        total += missing.seconds
        done = len(entry.jobs) - len(missing.requests)
        print_line(
            f"{name}: {len(entry.jobs)} cells, {done} stored, about "
            f"{format_duration(missing.seconds)} of one core"
        )
    print_line(f"in all about {format_duration(total / cores)} on {cores} cores")


def estimate_table(
    layout: Layout,
    options: TableOptions,
    entries: Sequence[PlannedEntry],
    failures: dict[tuple[str, str], str],
    folder: Path,
) -> FieldTable:
    """The table from what is stored."""
    model = cost.fit_cost_model([str(folder / "results")])
    rows, columns = layout.select(options.size, options.rows, options.columns)
    request = TableRequest(
        size=options.size,
        eps=layout.eps,
        rows=[RowRequest(row.name, row.title, row.axis, row.reference) for row in rows],
        columns=[ColumnRequest(column.name, column.title, column.uses) for column in columns],
        entries=[
            EntryRequest(
                row=entry.row.name,
                column=entry.column.name,
                cells=entry.cells,
                refusal=entry.refusal,
                failure=failures.get((entry.row.name, entry.column.name), ""),
                theory=entry.theory,
                seconds_left=entry.list_missing(model).seconds,
            )
            for entry in entries
        ],
    )
    stored = read_store(folder / "results", fill_defaults)
    estimated = estimate_entries(request, stored.trainings)
    rankings = []
    for row in request.rows:
        of_row = [entry for entry in estimated if entry.row == row.name]
        ranking = rank_methods(row, of_row, request.eps)
        if ranking is not None:
            rankings.append(ranking)
    profiles = profile_methods(request.columns, estimated, rankings)
    return FieldTable(request, estimated, rankings, profiles, _describe_provenance(options))


def _describe_provenance(options: TableOptions) -> dict[str, str]:
    origin = code_origin()
    return {
        "version": metadata.version("bfc"),
        "commit": origin["commit"] or "",
        "hardware": hardware(resolve_device("auto")),
        "budget": options.budget,
        "date": datetime.now(UTC).date().isoformat(),
        "command": shlex.join(["bfc", "table", *sys.argv[2:]]),
    }


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
    left = math.fsum(entry.seconds_left for entry in table.entries)
    if left:
        print_line(f"not run yet: about {format_duration(left)} of one core")
    print_line(f"page: {folder / PAGE}")


def print_moves(snapshot: dict[str, object], table: FieldTable) -> int:
    """Print the entries that moved since a snapshot; returns their number."""
    now = json.loads(json.dumps(to_json(table, tabulate_entries(table))))
    moves = list_moves(snapshot, now)
    for move in moves:
        print_line(f"moved: {move.row} × {move.column}: {move.sentence}")
    print_line(f"{len(moves)} entries moved since the snapshot of {snapshot.get('date', '?')}")
    return len(moves)
