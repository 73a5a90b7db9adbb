"""``bfc collect``: the tables and the report of a launch, whatever has ended so far."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bfc.application.sweep_entry import Name, Results

PANEL = "Results"


def main(
    results: Results,
    launch: Name = None,
    out: Annotated[
        str, typer.Option("--out", "-o", help="folder for the page and the tables")
    ] = "report",
) -> None:
    """Collect the tables and draw the report of what a launch has stored so far, also where some of
    it failed."""
    from bfc.launch import status_table as show
    from bfc.launch.finalise import collect
    from bfc.launch.manifest import find
    from bfc.launch.status import states

    chosen = find(results, launch)
    print(show.counts(states(chosen)))
    print(collect(chosen, Path(out)) / "index.html")
