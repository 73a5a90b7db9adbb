"""``bfc wait``: for scripts that go on when a launch has ended."""

from __future__ import annotations

import typer

from bfc.application.sweep_entry import Name, Results

PANEL = "Watch a launch"


def main(results: Results, launch: Name = None) -> None:
    """Return when every cell has ended; exit status 1 if something failed, was lost or cancelled.
    Ctrl-C ends nothing."""
    from bfc.launch import status_table as show
    from bfc.launch.manifest import find
    from bfc.launch.status import wait

    chosen = find(results, launch)
    rows = wait(chosen)
    print(show.counts(rows))
    for line in show.failures(chosen, rows):
        print(line)
    if any(row.state != "done" for row in rows):
        raise typer.Exit(1)
