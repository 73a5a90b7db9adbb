"""``bfc sync``: bring a tracker up to a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bfc.application.completion import complete_study

if TYPE_CHECKING:
    from bfc.trackers.sync import RunList, SyncSummary, TrackerRun, UploadRate
    from bfc.types import Tracker

PANEL = "Results"


def main(
    results: Annotated[str, typer.Argument(help="The results folder.")] = "results",
    tracker: Annotated[
        str, typer.Option(help="An option of conf/tracker: wandb or trackio.")
    ] = "wandb",
    study: Annotated[
        str | None, typer.Option(help="Only this study.", autocompletion=complete_study)
    ] = None,
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
    from bfc.errors import UserError
    from bfc.paths import local_path
    from bfc.trackers.sync import UploadRate, list_runs
    from bfc.trackers.wandb_login import has_key

    built_tracker = _build_tracker(tracker, entity, project, patience)
    folder = local_path(results, "results")
    listed = list_runs(folder, study)
    for problem in listed.problems:
        print(f"left out: {problem}")
    if dry_run:
        _print_runs(listed, folder)
        return
    if tracker == "wandb" and not has_key():
        raise UserError("bfc sync: not logged in to W&B; run `wandb login` or set WANDB_API_KEY")
    summary = _show_runs(built_tracker, folder, listed.runs, UploadRate(per_minute, tries))
    _print_summary(summary, len(listed.runs), listed.unfinished)


def _print_runs(listed: RunList, results: Path) -> None:
    """Print a line per run, and which cells could not be shown because they are damaged."""
    from bfc.trackers.sync import find_damage

    damage = find_damage(results, listed.runs)
    for run in listed.runs:
        print(run)
    for cell, reason in damage.items():
        print(f"damaged: {cell}: {reason}")
    damaged = f"; {len(damage)} cells are damaged" if damage else ""
    print(f"{len(listed.runs)} runs; {listed.unfinished} cells are still running{damaged}")


def _build_tracker(name: str, entity: str | None, project: str, patience: float) -> Tracker:
    """The tracker of an option of conf/tracker, set by the options of this command."""
    from bfc.errors import UserError, nearest
    from bfc.experiment.components import component
    from bfc.paths import CONF
    from bfc.yaml_text import parse_yaml

    files = {path.stem: path for path in sorted((CONF / "tracker").glob("*.yaml"))}
    del files["none"]
    if name not in files:
        raise UserError(f"--tracker {name}: no such tracker; {nearest(name, files)}")
    node: dict[str, Any] = parse_yaml(files[name].read_text(encoding="utf-8"))
    node |= {"project": project, "patience": patience}
    if "mode" in node:
        node["mode"] = "online"
    if "entity" in node:
        node["entity"] = entity
    elif entity is not None:
        raise UserError(f"--entity {entity}: {name} knows none")
    tracker: Tracker = component("tracker", node)
    tracker.check()
    return tracker


def _show_runs(
    tracker: Tracker, results: Path, runs: list[TrackerRun], rate: UploadRate
) -> SyncSummary:
    """Show the runs, with a progress bar on a terminal."""
    import sys

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from bfc.trackers.sync import SyncSummary, show_runs

    summary = SyncSummary()
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )

    def print_message(text: str) -> None:
        progress.console.print(text, markup=False, soft_wrap=True, highlight=False)

    with progress:
        bar = progress.add_task("runs", total=len(runs))
        for _ in show_runs(tracker, results, runs, summary, rate, print_message):
            progress.advance(bar)
    return summary


def _print_summary(summary: SyncSummary, runs: int, unfinished: int) -> None:
    """Print what was shown; raise :class:`bfc.errors.UserError` where a run could not be."""
    from bfc.errors import UserError

    failed = summary.failed
    print(
        f"{summary.shown} runs shown, {summary.unchanged} as before, "
        f"{unfinished} cells still running, {len(failed)} runs failed"
    )
    if failed:
        first, reason = next(iter(failed.items()))
        raise UserError(
            f"{len(failed)} of {runs} runs could not be shown, the first ({first}): {reason}; "
            "nothing stored is touched, and the same command goes on"
        )
