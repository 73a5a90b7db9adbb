"""Dashboards as code: the workspace (saved view) and the report of a study at W&B, built from the
names that :mod:`analysis.snapshots` gives to what it shows. Everything is built, checked and
serialised offline; saving is one call when logged in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bfc.errors import UserError
from bfc.snapshot import level, project_name
from bfc.store.cells import Cell

PHASES = ("gram", "subspace", "feature")
"""Probes whose fall from phase to phase is feature correction."""


OUTCOMES = ("success", "data_limited", "plateau", "optimisation_limited", "diverged")
"""What :func:`bfc.stats.outcomes.judge` says of a training."""


@dataclass(frozen=True)
class Shown:
    """What the panels of a study are about: its levels of risk and the columns of its probes."""

    study: str
    eps: tuple[float, ...]
    probes: tuple[str, ...]


def shown_of(study: str, results: Path) -> Shown:
    """Read from the cells that the study has stored; raises :class:`UserError` where there are
    none."""
    eps: set[float] = set()
    probes: dict[str, None] = {}
    folders = (
        [p for p in sorted(results.iterdir()) if (p / "config.yaml").is_file()]
        if results.is_dir()
        else []
    )
    own = [folder for folder in folders if study in Cell(folder).studies()]
    if not own:
        raise UserError(
            f"study {study}: has no cell in {results}; run it first, or give the results folder it is in"
        )
    for folder in own:
        cell = Cell(folder)
        eps |= {
            e
            for request in cell.requests()
            if request.get("study") == study
            for e in request.get("eps", [])
        }
        probes |= dict.fromkeys(
            key
            for row in cell.rows()
            for key, value in row.items()
            if "/" in key and _measured(value)
        )
    return Shown(study, tuple(sorted(eps, reverse=True)), tuple(probes))


def _measured(value: Any) -> bool:
    """A probe says nothing of levels that are not there yet: no number, or NaN."""
    return isinstance(value, (int, float)) and value == value


def sections(shown: Shown) -> list[tuple[str, str, list[Any]]]:
    """Title, what it says, and panels of every part; the same for the workspace and for the report."""
    import wandb_workspaces.reports.v2 as wr

    by_method = wr.Config("method")
    crossings = [
        wr.ScatterPlot(
            title=f"n*(d) at ε = {eps:g}",
            x=wr.Config("d"),
            y=wr.SummaryMetric(f"nstar/{level(eps)}"),
            log_x=True,
            log_y=True,
            legend_template="${config:method} L=${config:L}: ${y}",
        )
        for eps in shown.eps
    ]
    depth = [
        wr.ScatterPlot(
            title=f"n*(L) at ε = {eps:g}",
            x=wr.Config("L"),
            y=wr.SummaryMetric(f"nstar/{level(eps)}"),
            log_y=True,
            legend_template="${config:method} d=${config:d}: ${y}",
        )
        for eps in shown.eps
    ]
    curves = [
        wr.CustomChart(
            query={"summaryTable": {"tableKey": "tables/risk_per_n"}},
            chart_name="wandb/line/v0",
            chart_fields={"x": "n", "y": "median"},
            chart_strings={"title": "median risk against n"},
        ),
        wr.MediaBrowser(
            title="risk against n, cell by cell", media_keys=["figures/risk"], num_columns=2
        ),
        wr.LinePlot(
            title="risk of the trainings, in the order of storing",
            x="trainings",
            y=["risk"],
            log_y=True,
        ),
    ]
    parts = {}
    for name in shown.probes:
        _, _, quantity = name.partition("/")
        parts.setdefault(quantity, []).append(wr.SummaryMetric(f"probe/{name}"))
    correction = [
        wr.BarPlot(
            title=f"{quantity} after every phase (median)",
            metrics=metrics,
            groupby=by_method,
            groupby_aggfunc="median",
        )
        for quantity, metrics in parts.items()
        if quantity.split("/")[0] in (*PHASES, "risk")
    ]
    if parts:
        correction.append(
            wr.MediaBrowser(
                title="feature errors phase by phase",
                media_keys=["figures/correction"],
                num_columns=2,
            )
        )
    outcomes = [
        wr.BarPlot(
            title=f"trainings: {name.replace('_', ' ')}",
            metrics=[wr.SummaryMetric(f"outcome/{name}")],
            groupby=by_method,
            groupby_aggfunc="sum",
        )
        for name in OUTCOMES
    ]
    cost = [
        wr.BarPlot(
            title="seconds",
            metrics=[wr.SummaryMetric("seconds")],
            groupby=by_method,
            groupby_aggfunc="sum",
        ),
        wr.BarPlot(
            title="trainings",
            metrics=[wr.SummaryMetric("trainings")],
            groupby=by_method,
            groupby_aggfunc="sum",
        ),
        wr.ScatterPlot(
            title="seconds against d",
            x=wr.Config("d"),
            y=wr.SummaryMetric("seconds"),
            log_x=True,
            log_y=True,
        ),
    ]
    tables = [
        wr.WeavePanelSummaryTable(table_name=f"tables/{name}")
        for name in ("nstar", "exponents", "local", "claims")
    ]
    return [
        (
            "Sample complexity",
            "n* is the number of samples at which half of the trainings reach risk ε.",
            [*crossings, *depth],
        ),
        ("Risk against n", "The learning curves that n* is read from.", curves),
        (
            "Feature correction",
            "Errors of the learned features after every phase, at the largest n.",
            correction,
        ),
        ("Failures", "How trainings end that do not learn.", outcomes),
        ("Cost", "Seconds of one process.", cost),
        ("Tables", "n*, exponents, local exponents and claims of the study.", tables),
    ]


def workspace(shown: Shown, entity: str) -> Any:
    """The saved view of the study's project."""
    import wandb_workspaces.workspaces as ws

    parts = [
        ws.Section(name=title, panels=panels, is_open=place < 2)
        for place, (title, _, panels) in enumerate(sections(shown))
        if panels
    ]
    return ws.Workspace(
        entity=entity,
        project=project_name(shown.study),
        name=f"{shown.study}: n*, risks, correction, cost",
        sections=parts,
        settings=ws.WorkspaceSettings(x_axis="trainings", max_runs=100),
    )


def report(shown: Shown, entity: str) -> Any:
    """The study's report: the same panels, with a sentence each."""
    import wandb_workspaces.reports.v2 as wr

    blocks: list[Any] = [wr.TableOfContents()]
    for title, text, panels in sections(shown):
        if panels:
            blocks += [
                wr.H2(title),
                wr.P(text),
                wr.PanelGrid(runsets=[wr.Runset(name="cells")], panels=panels),
            ]
    return wr.Report(
        entity=entity,
        project=project_name(shown.study),
        title=f"{shown.study}: how n* grows",
        blocks=blocks,
        description="Written by `bfc dashboard`; its numbers are those of the result store.",
    )


def serialised(made: Any) -> dict[str, Any]:
    """What would be sent, as plain values; building it checks every panel. Needs no network."""
    return json.loads(made._to_model().model_dump_json(by_alias=True, exclude_none=True))


def save(made: Any, address: str | None) -> str:
    """Save a workspace or report, over the one at ``address`` if it is still there; returns its
    address."""
    if address is not None:
        try:
            before = type(made).from_url(address)
        except Exception:  # whatever the server says of something that was deleted
            before = None
        if before is not None:
            for name in ("sections", "settings", "runset_settings", "blocks", "description"):
                if hasattr(made, name):
                    setattr(before, name, getattr(made, name))
            made = before
    return made.save().url
