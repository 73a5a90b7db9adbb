"""``bfc dashboard``: the W&B workspace and report of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PANEL = "Results"


def main(
    study: Annotated[
        str,
        typer.Argument(
            help="A study with cells in the results folder; its W&B project has its name."
        ),
    ],
    results: Annotated[Path, typer.Argument(help="The results folder.")] = Path("results"),
    entity: Annotated[
        str | None, typer.Option(help="W&B user or team; by default your own.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Only write both as JSON to this file; needs no login."),
    ] = None,
) -> None:
    """Save a W&B workspace and report for a study: n* against d, risks, feature correction,
    failures, cost.

    Saving again replaces what was saved from this results folder. Log in with `wandb login` first,
    or set WANDB_API_KEY.
    """
    import importlib.util
    import json

    from bfc.errors import UserError
    from bfc.store.cells import Cell
    from bfc.trackers import dashboard
    from bfc.trackers.upload_log import FOLDER
    from bfc.trackers.wandb import has_key

    if importlib.util.find_spec("wandb_workspaces") is None:
        raise UserError(
            "bfc dashboard: the package wandb-workspaces is not installed; pip install 'bfc[dashboard]'"
        )
    shown = dashboard.shown_of(study, results)
    if out is not None:
        made = {
            "workspace": dashboard.workspace(shown, entity or ""),
            "report": dashboard.report(shown, entity or ""),
        }
        out.write_text(
            json.dumps({name: dashboard.serialised(part) for name, part in made.items()}, indent=1)
            + "\n"
        )
        print(out)
        return
    if not has_key():
        raise UserError(
            "bfc dashboard: not logged in to W&B; run `wandb login`, or write the dashboard to a file with --out"
        )
    import wandb

    try:
        entity = entity or wandb.Api().default_entity
        memory = Cell(results / FOLDER / "wandb" / f"dashboard-{entity}")
        before = memory.read_json(f"{study}.json", {})
        made = {
            "workspace": dashboard.workspace(shown, entity),
            "report": dashboard.report(shown, entity),
        }
        urls = {}
        for name, part in made.items():
            urls[name] = dashboard.save(part, before.get(name))
            memory.write_json(f"{study}.json", {**before, **urls})
            print(f"{name}: {urls[name]}")
    except (wandb.errors.Error, ValueError, OSError) as error:
        raise UserError(
            f"bfc dashboard: W&B refused ({(str(error).splitlines() or [''])[0]})"
        ) from error
