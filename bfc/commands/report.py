"""``bfc report``: the page, its tables and figures from a results folder."""

from __future__ import annotations

from typing import Annotated

import typer

PANEL = "Results"


def main(
    results: Annotated[str, typer.Argument(help="the results folder")] = "results",
    out: Annotated[
        str, typer.Option("--out", "-o", help="folder for the page and its files")
    ] = "report",
    study: Annotated[str | None, typer.Option("--study", help="only this study")] = None,
) -> None:
    """Write the page, tables and figures of a results folder, and print the tables (python -m
    analysis.report is the same)."""
    from analysis.report import report, show, terminal

    show(report(results, out, study), terminal())
