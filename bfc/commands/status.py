"""``bfc status``: what became of every cell of a launch, once or live."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bfc.application.sweep_entry import Name, Results

WIDE = 200
"""Columns where the output is no terminal."""

PANEL = "Watch a launch"


def main(
    results: Results,
    launch: Name = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="keep the table up to date until everything has ended"),
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", "-a", help="every cell, also where there are many")
    ] = False,
    listing: Annotated[
        bool, typer.Option("--list", "-l", help="the launches of this store")
    ] = False,
) -> None:
    """Show cells, states, progress, n* so far, nodes and last lines; failures with their class,
    message and log. Exit status 1 if something failed."""
    from rich.console import Console
    from rich.live import Live

    from bfc.launch import status_table as show
    from bfc.launch.manifest import find, launches
    from bfc.launch.status import states, wait

    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    if listing:
        console.print(show.listing(launches(results)))
        return
    chosen, table = find(results, launch), show.Table(every)
    if watch:
        with Live(console=console, refresh_per_second=2, transient=False) as live:
            rows = wait(chosen, lambda now: live.update(table.render(chosen, now)))
    else:
        rows = states(chosen)
        console.print(table.render(chosen, rows))
    for line in show.failures(chosen, rows):
        print(line)
    if any(row.state in ("failed", "lost") for row in rows):
        raise typer.Exit(1)
