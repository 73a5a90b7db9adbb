"""``bfc reproduce``: the claims of the papers, judged within a budget of time."""

from __future__ import annotations

from typing import Annotated

import typer

from bfc.application.completion import complete_override, complete_study

PANEL = "Run"


def main(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Overrides on top of every study, such as compute.device=cuda.",
            autocompletion=complete_override,
        ),
    ] = None,
    budget: Annotated[
        str,
        typer.Option(
            "--budget",
            "-b",
            help="Wall time on this machine: minutes or hours such as 30m or 4h, or full: "
            "until nothing more is likely to be decided, without limit.",
        ),
    ] = "30m",
    folder: Annotated[
        str,
        typer.Option(
            "--folder", "-f", help="Where to write: <folder>/results and <folder>/report."
        ),
    ] = "reproduce",
    study: Annotated[
        list[str] | None,
        typer.Option(
            "--study",
            "-s",
            help="Only this study; may be given more than once.",
            autocompletion=complete_study,
        ),
    ] = None,
    board: Annotated[
        str,
        typer.Option(
            "--board",
            help="The claims to decide: papers, frontier, or all; --study chooses from any.",
        ),
    ] = "papers",
    cores: Annotated[
        int | None,
        typer.Option("--cores", help="Processes that run at once; by default all usable cores."),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Only show what each claim reads, what decides it, and the cost."
        ),
    ] = False,
) -> None:
    """Run what decides most claims of the studies within a budget; write the page and claims.csv.

    Every study first gets its smallest size; then what has the most expected decisions per second
    is run, with at most five looks at a claim. Stored trainings are not repeated: the same command
    goes on from here.
    """
    from bfc.application.reproduce import reproduce
    from bfc.extras import require_package

    if not plan:
        require_package("plotly", "bfc reproduce", "page")
    raise typer.Exit(reproduce(budget, folder, study, cores, plan, overrides or (), board))
