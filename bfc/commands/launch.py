"""``bfc launch``: start a sweep and return."""

from __future__ import annotations

from typing import Annotated

import typer

from bfc.application.launch_arguments import ConfigDir, Multirun, Overrides, run_sweep

PANEL = "Run"


def main(
    overrides: Overrides,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, however much it costs.")
    ] = False,
    wait: Annotated[
        bool, typer.Option(help="Return when everything has ended instead of at once.")
    ] = False,
    cells_per_task: Annotated[
        int | None, typer.Option(min=1, help="Most jobs per SLURM task.")
    ] = None,
    multirun: Multirun = False,
    config_dir: ConfigDir = None,
) -> None:
    """Submit a sweep, print where its manifest is, and return.

    On this machine it goes on in the background.
    """
    options = [f"hydra.launcher.detach={str(not wait).lower()}"]
    if yes:
        options.append("hydra.launcher.confirmed=true")
    if cells_per_task is not None:
        options.append(f"hydra.launcher.cells_per_task={cells_per_task}")
    run_sweep([*overrides, *options], config_dir)
