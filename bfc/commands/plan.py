"""``bfc plan``: what a launch would do and cost, without doing it."""

from __future__ import annotations

from bfc.application.sweep_entry import Overrides

PANEL = "Run"


def main(overrides: Overrides) -> None:
    """Show the cells of a sweep, what is already done, the tasks, and the predicted cost and start.
    Launches and writes nothing."""
    from bfc.application.sweep_entry import sweep

    sweep([*overrides, "hydra.launcher.dry_run=true"])
