"""Dashboards as code: the workspace (saved view) and the report of a study at W&B.

They are built from the names that :mod:`analysis.snapshots` gives to what it shows. Everything is
built, checked and serialised offline; saving is one call when logged in.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bfc.errors import UserError
from bfc.snapshot import project_name
from bfc.store.cells import Cell
from bfc.trackers.dashboard_panels import DashboardContents, build_sections
from bfc.trackers.sync import find_cells, read_studies

SAVED_PARTS = {
    "workspace": ("sections", "settings", "runset_settings"),
    "report": ("blocks", "description"),
}
"""What is replaced when a workspace or a report is saved again."""
OPEN_SECTIONS = 2
"""Sections of the workspace that are unfolded at first."""


def read_contents(study: str, results: Path) -> DashboardContents:
    """Read what the panels show from the cells that the study has stored.

    The images of the whole study are left to the caller, for they are drawn in a layer above.
    Raises :class:`UserError` where there are no cells.
    """
    studies, _ = read_studies(find_cells(results))
    study_cells = [Cell(folder) for folder, names in studies.items() if study in names]
    if not study_cells:
        raise UserError(
            f"study {study}: has no cell in {results}; "
            "run it first, or give the results folder it is in"
        )
    eps: set[float] = set()
    probes: dict[str, None] = {}
    for cell in study_cells:
        eps |= _requested_levels(cell, study)
        probes |= dict.fromkeys(_measured_probes(cell))
    return DashboardContents(study, tuple(sorted(eps, reverse=True)), tuple(probes))


def _requested_levels(cell: Cell, study: str) -> set[float]:
    """The risks at which the study asked for n*."""
    levels: set[float] = set()
    for request in cell.requests():
        if request.get("study") == study:
            levels |= set(request.get("eps", []))
    return levels


def _measured_probes(cell: Cell) -> list[str]:
    """The probe columns that hold a number; a level that is not there yet has none, or NaN."""
    columns: dict[str, None] = {}
    for row in cell.rows():
        for column, value in row.items():
            if "/" in column and isinstance(value, (int, float)) and value == value:
                columns[column] = None
    return list(columns)


def build_dashboard(contents: DashboardContents, entity: str) -> dict[str, Any]:
    """The workspace and the report of a study, by name."""
    return {
        "workspace": build_workspace(contents, entity),
        "report": build_report(contents, entity),
    }


def build_workspace(contents: DashboardContents, entity: str) -> Any:
    """The saved view of the study's project."""
    workspaces: Any = importlib.import_module("wandb_workspaces.workspaces")
    sections = []
    for place, section in enumerate(build_sections(contents)):
        if section.panels:
            is_open = place < OPEN_SECTIONS
            sections.append(
                workspaces.Section(name=section.title, panels=section.panels, is_open=is_open)
            )
    return workspaces.Workspace(
        entity=entity,
        project=project_name(contents.study),
        name=f"{contents.study}: n*, risks, correction, cost",
        sections=sections,
        settings=workspaces.WorkspaceSettings(x_axis="trainings", max_runs=100),
    )


def build_report(contents: DashboardContents, entity: str) -> Any:
    """The study's report: the same panels, with a sentence each."""
    reports: Any = importlib.import_module("wandb_workspaces.reports.v2")
    blocks = [reports.TableOfContents()]
    for section in build_sections(contents):
        if section.panels:
            runsets = [reports.Runset(name="cells")]
            grid = reports.PanelGrid(runsets=runsets, panels=section.panels)
            blocks += [reports.H2(section.title), reports.P(section.text), grid]
    return reports.Report(
        entity=entity,
        project=project_name(contents.study),
        title=f"{contents.study}: how n* grows",
        blocks=blocks,
        description="Written by `bfc dashboard`; its numbers are those of the result store.",
    )


def serialise(view: Any) -> dict[str, Any]:
    """A workspace or report as the plain values that would be sent.

    Building them checks every panel; no network is needed.
    """
    values: dict[str, Any] = json.loads(
        view._to_model().model_dump_json(by_alias=True, exclude_none=True)
    )
    return values


def save(view: Any, parts: Sequence[str], address: str | None) -> str:
    """Save a workspace or report, over the one at ``address`` if it is still there.

    ``parts`` names what a saved one takes over from ``view``. Returns the address.
    """
    saved = _find_saved(view, address)
    if saved is None:
        return str(view.save().url)
    for part in parts:
        setattr(saved, part, getattr(view, part))
    return str(saved.save().url)


def _find_saved(view: Any, address: str | None) -> Any | None:
    """The workspace or report at ``address``; None where there is none any more."""
    if address is None:
        return None
    try:
        return type(view).from_url(address)
    except Exception:  # whatever the server says of something that was deleted
        return None
