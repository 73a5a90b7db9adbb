"""``bfc collect``: the tables and the report of a launch, whatever has ended so far."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bfc.application.launch_arguments import LaunchName, ResultsOption

PANEL = "Results"


def main(
    results: ResultsOption,
    launch: LaunchName = None,
    out: Annotated[
        str, typer.Option("--out", "-o", help="Folder for the page and the tables.")
    ] = "report",
) -> None:
    """Collect the tables and draw the report of what a launch has stored so far.

    Works also while it runs, and where some of it failed.
    """
    from bfc.launch.finalise import draw_report
    from bfc.launch.launch_list import find_launch
    from bfc.launch.status import cell_statuses
    from bfc.launch.status_table import format_counts

    selected_launch = find_launch(results, launch)
    print(format_counts(cell_statuses(selected_launch)))
    print(draw_report(selected_launch, Path(out)) / "index.html")
