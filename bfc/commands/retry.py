"""``bfc retry``: submit again what a launch did not finish."""

from __future__ import annotations

from typing import Annotated

import typer

from bfc.application.sweep_entry import Name, Results

PANEL = "Watch a launch"


def main(
    results: Results,
    launch: Name = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="only what failed or was lost, not what was cancelled")
    ] = False,
    new_code: Annotated[
        bool,
        typer.Option("--new-code", help="with the code as it is now instead of the launch's copy"),
    ] = False,
) -> None:
    """Submit again what failed, was lost or cancelled, with the same frozen configuration; finished
    work is kept."""
    from bfc.errors import UserError
    from bfc.launch import local
    from bfc.launch.code_copy import snapshot
    from bfc.launch.manifest import find
    from bfc.launch.slurm import submission as slurm
    from bfc.launch.status import states

    chosen = find(results, launch)
    wanted = ("failed", "lost") if failed else ("failed", "lost", "cancelled")
    jobs = sorted({row.job for row in states(chosen) if row.state in wanted})
    if not jobs:
        raise UserError(
            f"{chosen.name}: nothing to retry, no cell is {', '.join(wanted[:-1])} or {wanted[-1]}"
        )
    code = snapshot(chosen.path.parent / "code") if new_code else None
    {"slurm": slurm, "local": local}[chosen.manifest["kind"]].submit(chosen, jobs, code=code)
    print(f"submitted {len(jobs)} jobs again; bfc status {chosen.name} --results {results}")
