"""``bfc paper``: LaTeX tables, a methods paragraph and figures from a results folder."""

from __future__ import annotations

from typing import Annotated

import typer

from bfc.application.completion import complete_study
from bfc.streams import print_line

PANEL = "Results"


def main(
    results: Annotated[str, typer.Argument(help="The results folder.")] = "results",
    out: Annotated[str, typer.Option("--out", "-o", help="Folder to write into.")] = "paper",
    study: Annotated[
        str | None, typer.Option("--study", help="Only this study.", autocompletion=complete_study)
    ] = None,
    claim: Annotated[
        list[int] | None,
        typer.Option("--claim", help="Only the claim with this number on the page; repeatable."),
    ] = None,
    width: Annotated[
        str, typer.Option("--width", help="Width of figures: column or text.")
    ] = "column",
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="png, svg or pdf; pdf by default.")
    ] = None,
) -> None:
    """Write LaTeX of claims and exponents, a methods paragraph, and figures as wide as a column."""
    from analysis.paper_export import export_paper

    files = export_paper(results, out, study, claim or (), width, formats or ("pdf",))
    for path in (files.claims, files.exponents, files.methods):
        print_line(str(path))
    print_line(f"{len(files.figures)} figures in {files.claims.parent / 'figures'}")
