"""``bfc table``: plan, run what is missing within a budget, estimate, write.

All sizes of a table share a folder: ``results`` (an ordinary store), ``rows`` and ``columns`` (a
user's additions). Each size has a folder below it with its page and its files, which show all that
is stored of it, whatever the last run was limited to.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from analysis.field_table.comparison import list_shown, read_snapshot
from bfc.application.budget import budget_seconds
from bfc.application.job_feed import JobFeed
from bfc.application.reproduce import EXIT_INTERRUPTED, StopRequest
from bfc.application.table.additions import add_to_table
from bfc.application.table.entries import (
    MissingJobs,
    PlannedEntry,
    check_entries,
    plan_entries,
)
from bfc.application.table.launching import launch_entries
from bfc.application.table.layout import Column, Row, TableLayout, read_layout
from bfc.application.table.options import TableOptions
from bfc.application.table.output import print_changes, print_summary, read_table, write_table
from bfc.application.table.plan_text import describe_plan
from bfc.application.table.running import TableRun
from bfc.errors import require
from bfc.experiment import cost
from bfc.launch.devices import usable_cores
from bfc.streams import print_line

EXIT_MOVED = 1
"""Exit status where ``--compare`` finds entries that moved, or a job failed."""


def build_table(options: TableOptions) -> int:
    """Make the table; returns the exit status.

    0; 1 where a job failed or, with ``compare``, an entry moved; 130 where an interrupt ended it
    (the table is written in any case). Raises :class:`UserError` before anything is run.
    """
    start = time.monotonic()
    folder = options.find_folder()
    layout = read_layout([folder])
    budget = options.budget or layout.find_size(options.size).budget
    seconds = budget_seconds(budget)
    require(
        options.cores is None or options.cores >= 1, "--cores", options.cores, "an integer >= 1"
    )
    snapshot = read_snapshot(Path(options.compare), options.size) if options.compare else None
    addition = None
    if options.add is not None:
        addition = add_to_table(layout, options.size, options.add, folder)
    if addition is not None:
        layout = addition.layout
    rows, columns = layout.select(options.size, options.rows, options.columns)
    if options.plan:
        entries = plan_table(layout, options, rows, columns)
        check_entries(entries)
        print_plan(options, entries, seconds)
        return 0
    entries = plan_table(layout, options, *select_shown(layout, options, rows, columns))
    chosen = [entry for entry in entries if entry.row in rows and entry.column in columns]
    check_entries(chosen)
    if addition is not None:
        addition.write()
    failures: dict[PlannedEntry, str] = {}
    is_interrupted = False
    if options.launcher:
        launch_entries(chosen, options.launcher)
    else:
        failures, is_interrupted = run_entries(chosen, options, start + seconds)
    table = read_table(options, layout.eps, entries, failures, budget)
    write_table(table, options.find_output())
    print_summary(table, options.find_output())
    num_moved = print_changes(snapshot, table) if snapshot is not None else 0
    if is_interrupted:
        print_line("interrupted: the same command goes on where this one stopped")
        return EXIT_INTERRUPTED
    return EXIT_MOVED if failures or num_moved else 0


def select_shown(
    layout: TableLayout, options: TableOptions, rows: Sequence[Row], columns: Sequence[Column]
) -> tuple[list[Row], list[Column]]:
    """The rows and columns of the size, those of this run, and those that the page shows so far."""
    shown_rows, shown_columns = list_shown(options.find_output())
    return layout.select_with(
        options.size,
        {*shown_rows, *(row.name for row in rows)},
        {*shown_columns, *(column.name for column in columns)},
    )


def plan_table(
    layout: TableLayout, options: TableOptions, rows: Sequence[Row], columns: Sequence[Column]
) -> list[PlannedEntry]:
    """The entries of ``rows`` × ``columns``, composed."""
    results = options.find_folder() / "results"
    return plan_entries(layout, options.size, rows, columns, results, options.overrides)


def run_entries(
    entries: Sequence[PlannedEntry], options: TableOptions, deadline: float
) -> tuple[dict[PlannedEntry, str], bool]:
    """Run what is missing here; returns what failed and why, and whether an interrupt ended it."""
    with StopRequest.listening() as stop:
        run = TableRun(
            entries,
            JobFeed[MissingJobs](options.cores or usable_cores()),
            partial(cost.fit_cost_model, [str(options.find_folder() / "results")]),
            time.monotonic,
            deadline,
            lambda: stop.is_set,
            print_line,
        )
        run.run()
        return run.failures, stop.is_set


def print_plan(
    options: TableOptions, entries: Sequence[PlannedEntry], budget_seconds: float
) -> None:
    """What every entry would cost, what fits into the budget, and why some cannot be measured."""
    model = cost.fit_cost_model([str(options.find_folder() / "results")])
    for line in describe_plan(entries, model, options.cores or usable_cores(), budget_seconds):
        print_line(line)
