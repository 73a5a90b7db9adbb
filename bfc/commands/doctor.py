"""``bfc doctor``: what works here and what does not."""

from __future__ import annotations

from typing import Annotated

import typer

PANEL = "This machine"
WIDTH = 200
"""Columns where the output is no terminal."""


def main(
    results: Annotated[
        str, typer.Option("--results", "-r", help="Where results would be written.")
    ] = "results",
) -> None:
    """Check Python, packages, disk, GPU, SLURM, W&B and a tiny training.

    Exits with 1 if this program cannot run like this.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from bfc.application.doctor import CheckState, examine

    colours = {CheckState.OK: "green", CheckState.NOTE: "yellow", CheckState.FAILS: "red"}
    checks = list(examine(results))
    table = Table(box=None, show_header=False, pad_edge=False)
    for check in checks:
        state = Text(check.state.value, colours[check.state])
        table.add_row(state, check.name, Text(check.text))
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(table)
    raise typer.Exit(1 if any(check.state is CheckState.FAILS for check in checks) else 0)
