"""``bfc report``: the page, its tables and figures from a results folder."""

from __future__ import annotations

from typing import Annotated

import typer

from analysis.page_limits import MAX_SHOWN_CELLS
from bfc.application.completion import complete_study

PANEL = "Results"


def main(
    results: Annotated[str, typer.Argument(help="The results folder.")] = "results",
    out: Annotated[
        str, typer.Option("--out", "-o", help="Folder for the page and its files.")
    ] = "report",
    study: Annotated[
        str | None, typer.Option("--study", help="Only this study.", autocompletion=complete_study)
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="Draw every figure in this format too: png, svg or pdf."),
    ] = None,
    cells: Annotated[
        int, typer.Option("--cells", help="Show at most so many: the studies measured last.")
    ] = MAX_SHOWN_CELLS,
) -> None:
    """Write the page, tables and figures of a results folder, and print the tables.

    The same as python -m analysis.report.
    """
    from analysis.report import make_console, print_report, write_report

    made = write_report(results, out, study, formats=formats or (), cells=cells)
    print_report(made, make_console())
