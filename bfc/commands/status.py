"""``bfc status``: what became of every cell of a launch, once or live."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bfc.application.launch_arguments import LaunchName, ResultsOption

PANEL = "Watch a launch"
WIDTH = 200
"""Columns where the output is no terminal."""


def main(
    results: ResultsOption,
    launch: LaunchName = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Keep the table up to date until everything has ended."),
    ] = False,
    show_all: Annotated[
        bool, typer.Option("--all", "-a", help="Every cell, also where there are many.")
    ] = False,
    listing: Annotated[
        bool, typer.Option("--list", "-l", help="List the launches of this results folder.")
    ] = False,
) -> None:
    """Show the cells of a launch: states, progress, n* so far, nodes and last lines.

    What failed is listed with its class, message and log; the exit status is then 1.
    """
    from rich.console import Console
    from rich.live import Live

    from bfc.launch.launch_list import find_launch, list_launches
    from bfc.launch.status import CellState, cell_statuses
    from bfc.launch.status_table import StatusTable, describe_failures, launch_table
    from bfc.launch.waiting import wait_for_launch
    from bfc.streams import print_line

    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    if listing:
        listed = list_launches(results)
        console.print(launch_table(listed.launches))
        for problem in listed.problems:
            print_line(f"left out: {problem}")
        return
    selected_launch = find_launch(results, launch)
    table = StatusTable(show_all)
    if watch and console.is_terminal:
        with Live(console=console, refresh_per_second=2, transient=False) as live:
            statuses = wait_for_launch(
                selected_launch, lambda latest: live.update(table.render(selected_launch, latest))
            )
    else:
        statuses = wait_for_launch(selected_launch) if watch else cell_statuses(selected_launch)
        console.print(table.render(selected_launch, statuses))
    for line in describe_failures(selected_launch, statuses):
        print_line(line)
    for problem in selected_launch.problems.values():
        print_line(f"left out: {problem}")
    if any(status.state in (CellState.FAILED, CellState.LOST) for status in statuses):
        raise typer.Exit(1)
