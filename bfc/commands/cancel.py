"""``bfc cancel``: end a launch."""

from __future__ import annotations

from bfc.application.sweep_entry import Name, Results

PANEL = "Watch a launch"


def main(results: Results, launch: Name = None) -> None:
    """End everything of a launch that is queued or running. Finished trainings stay, `bfc retry`
    goes on from checkpoints."""
    from bfc.launch.manifest import find
    from bfc.launch.status import ENDED, states, stop

    chosen = find(results, launch)
    active = [row for row in states(chosen) if row.state not in ENDED]
    stop(chosen)
    print(
        f"{chosen.name}: cancelled {len(active)} cells; bfc retry {chosen.name} --results {results} goes on with them"
    )
