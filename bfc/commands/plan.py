"""``bfc plan``: what a launch would do and cost, without doing it."""

from __future__ import annotations

from typing import Annotated

import typer

from bfc.application.completion import complete_override
from bfc.application.launch_arguments import (
    ConfigDir,
    Multirun,
    ResultsOption,
    default_results,
    run_sweep,
)
from bfc.errors import UserError
from bfc.paths import local_path

PANEL = "Run"


def main(
    results: ResultsOption,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="What `python -m bfc.train -m` would be given, for instance +sweeps=bfc_chain "
            "study.size=30m hydra/launcher=slurm.",
            autocompletion=complete_override,
        ),
    ] = None,
    claims: Annotated[
        bool,
        typer.Option(
            "--claims",
            help="Show instead what each claim reads, what decides it and what that costs: of the "
            "study in +sweeps=..., or of all.",
        ),
    ] = False,
    multirun: Multirun = False,
    config_dir: ConfigDir = None,
) -> None:
    """Show the cells, tasks, predicted cost and start of a sweep, and what is already done.

    Launches and writes nothing.
    """
    overrides = overrides or []
    if claims:
        from bfc.application.claim_plan import plan_claims

        plan_claims(overrides, str(local_path(results, "--results")))
        return
    if results != default_results():
        raise UserError(
            f"--results {results}: goes with --claims only; the folder of a sweep is an override, "
            "results=<folder>"
        )
    run_sweep([*overrides, "hydra.launcher.dry_run=true"], config_dir)
