"""``bfc plan``: what a launch would do and cost, without doing it."""

from __future__ import annotations

from bfc.application.launch_arguments import ConfigDir, Multirun, Overrides, run_sweep

PANEL = "Run"


def main(overrides: Overrides, multirun: Multirun = False, config_dir: ConfigDir = None) -> None:
    """Show the cells, tasks, predicted cost and start of a sweep, and what is already done.

    Launches and writes nothing.
    """
    run_sweep([*overrides, "hydra.launcher.dry_run=true"], config_dir)
