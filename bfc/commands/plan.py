"""``bfc plan``: what a launch would do and cost, without doing it."""

from __future__ import annotations

from typing import Annotated

import typer

from bfc.application.launch_arguments import ConfigDir, Multirun, ResultsOption, run_sweep

PANEL = "Run"


def main(
    results: ResultsOption,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="What `python -m bfc.train -m` would be given, for instance +sweeps=bfc_chain "
            "study.size=30m hydra/launcher=slurm."
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

        plan_claims(overrides, results)
        return
    run_sweep([*overrides, "hydra.launcher.dry_run=true"], config_dir)
