"""``bfc sync``: bring a tracker up to a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PANEL = "Results"


def main(
    results: Annotated[Path, typer.Argument(help="The results folder.")] = Path("results"),
    tracker: Annotated[
        str, typer.Option(help="An option of conf/tracker: wandb or trackio.")
    ] = "wandb",
    study: Annotated[str | None, typer.Option(help="Only this study.")] = None,
    entity: Annotated[
        str | None, typer.Option(help="W&B user or team; by default your own.")
    ] = None,
    project: Annotated[str, typer.Option(help="Project of cells that no study asked for.")] = "bfc",
    per_minute: Annotated[
        float, typer.Option(min=0.1, max=6000, help="Most runs to upload in a minute.")
    ] = 30.0,
    tries: Annotated[
        int,
        typer.Option(
            min=1, max=100, help="Attempts at each run, waiting 5, 10, 20 ... 300 s in between."
        ),
    ] = 6,
    patience: Annotated[
        float, typer.Option(min=1, max=86400, help="Seconds to wait for one run.")
    ] = 300.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the runs.")] = False,
) -> None:
    """Show every finished cell and study of a store at W&B (or Trackio).

    What was shown before and has not changed is passed over, so it can be run again at any time.
    Keys are W&B's business: log in with `wandb login`, or set WANDB_API_KEY.
    """
    import sys

    import yaml
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from bfc.errors import UserError, nearest
    from bfc.experiment.components import component
    from bfc.paths import CONF
    from bfc.trackers.sync import Tally, items, sync
    from bfc.trackers.wandb import has_key

    known = {
        path.stem: yaml.safe_load(path.read_text())
        for path in sorted((CONF / "tracker").glob("*.yaml"))
        if path.stem != "none"
    }
    if tracker not in known:
        raise UserError(f"--tracker {tracker}: no such tracker; {nearest(tracker, known)}")
    node = {**known[tracker], "project": project, "patience": patience}
    given = {"entity": entity, "mode": "online"}
    if entity is not None and "entity" not in node:
        raise UserError(f"--entity {entity}: {tracker} knows none")
    shown = component("tracker", {key: given.get(key, value) for key, value in node.items()})
    shown.check()
    wanted, running = items(results, study)
    if tracker == "wandb" and not dry_run and not has_key():
        raise UserError("bfc sync: not logged in to W&B; run `wandb login` or set WANDB_API_KEY")
    if dry_run:
        for item in wanted:
            print(item)
        print(f"{len(wanted)} runs; {running} cells are still running")
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True
    ) as progress:
        bar = progress.add_task("runs", total=len(wanted))
        tally = Tally()

        def tell(text: str) -> None:
            progress.console.print(text, markup=False, soft_wrap=True, highlight=False)

        for _ in sync(shown, results, wanted, tally, per_minute, tries, tell):
            progress.advance(bar)
    failed = tally.failed
    print(
        f"{tally.shown} runs shown, {tally.as_before} as before, {running} cells still running, {len(failed)} runs failed"
    )
    if failed:
        first, why = next(iter(failed.items()))
        raise UserError(
            f"{len(failed)} of {len(wanted)} runs could not be shown, the first ({first}): {why}; nothing stored is touched, "
            "and the same command goes on"
        )
