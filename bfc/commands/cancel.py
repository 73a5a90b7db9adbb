"""``bfc cancel``: end a launch."""

from __future__ import annotations

from bfc.application.launch_arguments import LaunchName, ResultsOption

PANEL = "Watch a launch"


def main(results: ResultsOption, launch: LaunchName = None) -> None:
    """End everything of a launch that is queued or running.

    Finished trainings stay, `bfc retry` goes on from checkpoints.
    """
    from bfc.launch.launch_list import find_launch
    from bfc.launch.waiting import cancel_launch

    selected_launch = find_launch(results, launch)
    count = cancel_launch(selected_launch)
    name = selected_launch.name
    print(
        f"{name}: cancelled {count} cells; bfc retry {name} --results {results} goes on with them"
    )
