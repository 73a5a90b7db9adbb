"""``bfc table --plan``: entry by entry what is stored, what fits into the budget, what does not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bfc.application.table.entries import MissingJobs, PlannedEntry
from bfc.application.table.running import choose_entries
from bfc.durations import format_duration, format_prediction
from bfc.experiment.cost import Cost


def describe_plan(
    entries: Sequence[PlannedEntry], model: Cost, cores: int, budget_seconds: float
) -> list[str]:
    """A line per entry and one about all; infinite ``budget_seconds``: everything fits."""
    missing = [entry.list_missing(model) for entry in entries]
    waiting = [jobs for jobs in missing if jobs.requests]
    fitting = {id(jobs) for jobs in choose_entries(waiting, cores, budget_seconds)}
    lines = [_describe_entry(jobs, id(jobs) in fitting) for jobs in missing]
    all_seconds = math.fsum(jobs.seconds for jobs in waiting)
    total = f"in all {format_prediction(all_seconds / cores)} on {cores} cores"
    if waiting:
        total += f", known to a factor of {model.factor:.1f}"
    lines.append(total)
    if not math.isinf(budget_seconds):
        lines.append(
            f"{len(fitting)} of the {len(waiting)} entries that are not complete fit into "
            f"{format_duration(budget_seconds)}, the cheapest first"
        )
    return lines


def _describe_entry(missing: MissingJobs, fits: bool) -> str:
    entry = missing.entry
    name = f"{entry.row.name} × {entry.column.name}"
    if entry.refusal:
        return f"{name}: cannot run: {entry.refusal}"
    num_cells, num_missing = len(entry.jobs), len(missing.requests)
    cells = f"{name}: {num_cells} cells, {num_cells - num_missing} stored"
    if not num_missing:
        return cells
    needed = format_prediction(missing.seconds)
    if fits:
        return f"{cells}, runs: {needed} of one core"
    return f"{cells}, not run: needs {needed} of one core"
