"""``bfc doctor``: what works here and what does not."""

from __future__ import annotations

from typing import Annotated

import typer

PANEL = "This machine"


def main(
    results: Annotated[
        str, typer.Option("--results", "-r", help="where results would be written")
    ] = "results",
) -> None:
    """Check Python, packages, disk, GPU, SLURM, W&B and a tiny training; exits with 1 if this
    program cannot run like this."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from bfc.application.doctor import FAILS, OK, examine

    found = list(examine(results))
    table = Table(box=None, show_header=False, pad_edge=False)
    for check in found:
        colour = {OK: "green", FAILS: "red"}.get(check.state, "yellow")
        table.add_row(Text(check.state, colour), check.name, Text(check.text))
    console = Console()
    (console if console.is_terminal else Console(width=200)).print(table)
    raise typer.Exit(1 if any(check.state == FAILS for check in found) else 0)
