"""``bfc logs``: what a launch's processes printed, or the traceback of what failed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bfc.application.launch_arguments import LaunchName, ResultsOption

if TYPE_CHECKING:
    from bfc.launch.manifest import Launch
    from bfc.launch.status import CellStatus

PANEL = "Watch a launch"


def main(
    results: ResultsOption,
    launch: LaunchName = None,
    cell: Annotated[
        str | None, typer.Option("--cell", "-c", help="Only this cell (the beginning of its id).")
    ] = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, help="Lines to print of each log.")
    ] = 20,
    failed: Annotated[
        bool, typer.Option("--failed", "-f", help="Only what failed, with tracebacks.")
    ] = False,
) -> None:
    """Print the end of every log of a launch, or of one cell's."""
    from bfc.errors import UserError
    from bfc.launch.launch_list import find_launch
    from bfc.launch.status import CellState, cell_statuses

    selected_launch = find_launch(results, launch)
    selected = []
    for status in cell_statuses(selected_launch):
        has_failed = status.state in (CellState.FAILED, CellState.LOST)
        if status.cell.startswith(cell or "") and (has_failed or not failed):
            selected.append(status)
    if not selected:
        subject = f"no cell called {cell}" if cell else "nothing"
        raise UserError(f"{selected_launch.name}: {subject}{' failed' if failed else ''}")
    _print_logs(selected_launch, selected, lines, with_tracebacks=failed)


def _print_logs(
    launch: Launch, statuses: Sequence[CellStatus], lines: int, with_tracebacks: bool
) -> None:
    """Print each log once; where asked for, the traceback of a job instead."""
    from bfc.launch.log_lines import read_last_lines

    events = launch.events() if with_tracebacks else {}
    printed_jobs: set[int] = set()
    printed_logs: set[Path] = set()
    for status in statuses:
        traceback = events.get(status.job, {}).get("traceback")
        if traceback and status.job not in printed_jobs:
            printed_jobs.add(status.job)
            print(f"== {status.cell} {status.label}\n{traceback}", end="")
        elif status.log is not None and status.log not in printed_logs:
            printed_logs.add(status.log)
            print(f"== {status.log}")
            print("\n".join(read_last_lines(status.log, lines)))
