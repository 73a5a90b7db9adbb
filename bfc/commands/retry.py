"""``bfc retry``: submit again what a launch did not finish."""

from __future__ import annotations

from typing import Annotated

import typer

from bfc.application.launch_arguments import LaunchName, ResultsOption

PANEL = "Watch a launch"


def main(
    results: ResultsOption,
    launch: LaunchName = None,
    failed: Annotated[
        bool,
        typer.Option("--failed", help="Only what failed or was lost, not what was cancelled."),
    ] = False,
    new_code: Annotated[
        bool,
        typer.Option("--new-code", help="Use the code as it is now, not the launch's copy."),
    ] = False,
) -> None:
    """Submit again what failed, was lost or cancelled, with the same frozen configuration.

    Finished work is kept.
    """
    from bfc.errors import UserError
    from bfc.launch import local
    from bfc.launch.code_copy import copy_code
    from bfc.launch.launch_list import find_launch
    from bfc.launch.slurm import submission as slurm
    from bfc.launch.status import CellState, cell_statuses

    selected_launch = find_launch(results, launch)
    states = [CellState.FAILED, CellState.LOST]
    if not failed:
        states.append(CellState.CANCELLED)
    jobs = {status.job for status in cell_statuses(selected_launch) if status.state in states}
    if not jobs:
        names = f"{', '.join(states[:-1])} or {states[-1]}"
        raise UserError(f"{selected_launch.name}: nothing to retry, no cell is {names}")
    code = copy_code(selected_launch.path.parent / "code") if new_code else None
    if selected_launch.manifest["kind"] == "slurm":
        slurm.submit(selected_launch, sorted(jobs), code=code)
    else:
        local.submit(selected_launch, sorted(jobs), code=code)
    print(
        f"submitted {len(jobs)} jobs again; bfc status {selected_launch.name} --results {results}"
    )
