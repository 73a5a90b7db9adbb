"""``bfc dashboard``: the W&B workspace and report of a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bfc.application.completion import complete_study

if TYPE_CHECKING:
    from bfc.trackers.dashboard_panels import DashboardContents

PANEL = "Results"


def main(
    study: Annotated[
        str,
        typer.Argument(
            help="A study with cells in the results folder; its W&B project has its name.",
            autocompletion=complete_study,
        ),
    ],
    results: Annotated[str, typer.Argument(help="The results folder.")] = "results",
    entity: Annotated[
        str | None, typer.Option(help="W&B user or team; by default your own.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Only write both as JSON to this file; needs no login."),
    ] = None,
) -> None:
    """Save a W&B workspace and report for a study.

    They show the board of claims and the figures of the study's page, n* against d, risks, feature
    correction, failures and cost. Saving again replaces what was saved from this results folder.
    Log in with `wandb login` first, or set WANDB_API_KEY.
    """
    from dataclasses import replace

    from analysis.snapshots import list_study_images
    from bfc.errors import UserError
    from bfc.extras import require_package
    from bfc.paths import local_path
    from bfc.trackers.dashboard import read_contents
    from bfc.trackers.wandb_login import has_key

    require_package("wandb_workspaces", "bfc dashboard", "dashboard")
    folder = local_path(results, "results")
    contents = read_contents(study, folder)  # before the figures, to refuse an unknown study
    contents = replace(contents, images=tuple(list_study_images(folder, study)))
    if out is not None:
        _write_json(contents, entity or "", out)
        return
    if not has_key():
        raise UserError(
            "bfc dashboard: not logged in to W&B; "
            "run `wandb login`, or write the dashboard to a file with --out"
        )
    _save(contents, entity, folder)


def _write_json(contents: DashboardContents, entity: str, out: Path) -> None:
    """Write workspace and report as they would be sent."""
    import json

    from bfc.trackers.dashboard import build_dashboard, serialise

    views = build_dashboard(contents, entity)
    values = {name: serialise(view) for name, view in views.items()}
    out.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    print(out)


def _save(contents: DashboardContents, entity: str | None, results: Path) -> None:
    """Save both at W&B, over what was saved before, and remember their addresses in the store."""
    import wandb

    from bfc.errors import UserError
    from bfc.store.cells import Cell
    from bfc.trackers.dashboard import SAVED_PARTS, build_dashboard, save
    from bfc.trackers.upload_log import UPLOADS_FOLDER

    file = f"{contents.study}.json"
    try:
        owner = entity or str(wandb.Api().default_entity)
        memory = Cell(results / UPLOADS_FOLDER / "wandb" / f"dashboard-{owner}")
        addresses = dict(memory.read_json(file, {}))
        for name, view in build_dashboard(contents, owner).items():
            addresses[name] = save(view, SAVED_PARTS[name], addresses.get(name))
            memory.write_json(file, addresses)
            print(f"{name}: {addresses[name]}")
    except (wandb.errors.Error, ValueError, OSError) as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise UserError(f"bfc dashboard: W&B refused ({first_line})") from error
