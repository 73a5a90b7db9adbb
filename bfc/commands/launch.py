"""``bfc launch``: start a sweep and leave it alone."""

from __future__ import annotations

from typing import Annotated

import typer

from bfc.application.sweep_entry import Overrides

PANEL = "Run"


def main(
    overrides: Overrides,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="do not ask, however much it costs")
    ] = False,
    wait: Annotated[
        bool, typer.Option(help="return when everything has ended instead of at once")
    ] = False,
    cells_per_task: Annotated[
        int | None, typer.Option(min=1, help="at most so many jobs per SLURM task")
    ] = None,
) -> None:
    """Submit a sweep, print where its manifest is, and return. On this machine it goes on in the
    background."""
    from bfc.application.sweep_entry import sweep

    more = [
        f"hydra.launcher.detach={str(not wait).lower()}",
        *(["hydra.launcher.confirmed=true"] if yes else []),
        *([f"hydra.launcher.cells_per_task={cells_per_task}"] if cells_per_task else []),
    ]
    sweep([*overrides, *more])
