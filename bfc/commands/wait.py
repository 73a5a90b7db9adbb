"""``bfc wait``: for scripts that go on when a launch has ended."""

from __future__ import annotations

import typer

from bfc.application.launch_arguments import LaunchName, ResultsOption

PANEL = "Watch a launch"


def main(results: ResultsOption, launch: LaunchName = None) -> None:
    """Return when every cell of a launch has ended.

    The exit status is 1 if something failed, was lost or cancelled. Ctrl-C ends nothing.
    """
    from bfc.launch.launch_list import find_launch
    from bfc.launch.status import CellState
    from bfc.launch.status_table import describe_failures, format_counts
    from bfc.launch.waiting import wait_for_launch

    selected_launch = find_launch(results, launch)
    statuses = wait_for_launch(selected_launch)
    print(format_counts(statuses))
    for line in describe_failures(selected_launch, statuses):
        print(line)
    if any(status.state is not CellState.DONE for status in statuses):
        raise typer.Exit(1)
