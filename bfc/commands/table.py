"""``bfc table``: every method on every target, the exponent of n* with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from bfc.application.completion import complete_override
from bfc.application.table.options import FOLDER, TableOptions

PANEL = "Run"


def main(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="With --add: what is added, target=<option> or method=<option>, and its further "
            "settings. Otherwise overrides on top of every entry, such as compute.device=cuda, or "
            "of a launcher, such as hydra/launcher=slurm.",
            autocompletion=complete_override,
        ),
    ] = None,
    size: Annotated[
        str, typer.Option("--size", help="demo, 4h or full: which rows, columns and values.")
    ] = "demo",
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            "-b",
            help="Wall time on this machine: minutes or hours such as 5m or 4h, or full: until "
            "everything has run. By default 4h for the size 4h, else full.",
        ),
    ] = None,
    folder: Annotated[
        str,
        typer.Option(
            "--folder",
            "-f",
            help="Where results are stored, and rows and columns of your own; the table of a size "
            "is written to <folder>/<size>.",
        ),
    ] = FOLDER,
    row: Annotated[
        list[str] | None,
        typer.Option(
            "--row",
            help="Run only this target; may be given more than once. The table shows everything "
            "that is stored.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="Run only this method; may be given more than once."),
    ] = None,
    add: Annotated[
        bool,
        typer.Option(
            "--add",
            help="Add a target or a method, for instance --add target=parity target.degree=3, or "
            "--add method=laplace; only what is missing is computed.",
        ),
    ] = False,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            help="A table.json, or a folder with one: list the entries that moved outside of their "
            "joint interval.",
        ),
    ] = None,
    cores: Annotated[
        int | None,
        typer.Option("--cores", help="Processes that run at once; by default all usable cores."),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="Only show what every entry would cost, and which fit into the budget.",
        ),
    ] = False,
) -> None:
    """Measure which method needs how many samples on which target, and write the table.

    Entries are ordinary cells: what is stored is not repeated, and the same command goes on from
    where a budget ended it. The page, CSV, JSON, LaTeX and a picture are written to the folder of
    the size.
    """
    from bfc.application.table.additions import split_additions
    from bfc.application.table.build import build_table
    from bfc.application.table.launching import split_launcher
    from bfc.extras import require_package

    if not plan:
        require_package("plotly", "bfc table", "page")
    launcher, words = split_launcher(overrides or ())
    added: Sequence[str] | None = None
    if add:
        added, words = split_additions(words)
    options = TableOptions(
        size=size,
        budget=budget,
        folder=folder,
        rows=row or (),
        columns=column or (),
        add=added,
        compare=compare,
        cores=cores,
        plan=plan,
        launcher=launcher,
        overrides=words,
    )
    raise typer.Exit(build_table(options))
