"""The panels of a study's dashboard, section by section; workspace and report share them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from bfc.snapshot import BOARD, metric_level
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.outcomes import Outcome

CORRECTION_QUANTITIES = ("gram", "subspace", "feature", "risk")
"""Probed quantities whose fall from phase to phase is feature correction."""
STUDY_TABLES = ("nstar", "exponents", "local", "claims")


@dataclass(frozen=True)
class DashboardContents:
    """What the panels of a study show."""

    study: str
    eps: tuple[float, ...]
    """Its levels of risk, the largest first."""
    probes: tuple[str, ...]
    """The columns of its probes, ``phase/quantity``."""
    images: tuple[str, ...] = ()
    """The images of the run of the whole study, in order; the board first, if there are claims."""


@dataclass(frozen=True)
class DashboardSection:
    """One part of a dashboard."""

    title: str
    text: str
    """A sentence about its panels."""
    panels: list[Any]


def build_sections(contents: DashboardContents) -> list[DashboardSection]:
    """Every section, in order; one without panels is left out by its readers."""
    widgets: Any = importlib.import_module("wandb_workspaces.reports.v2")
    return [
        DashboardSection(
            "Claims",
            "The board of the study's claims: the dot is the estimate, the thick bar its 95 % "
            "interval, the thin bar the wider one that judges, the shade what is demanded.",
            _claim_panels(widgets, contents.images),
        ),
        DashboardSection(
            "Sample complexity",
            "n* is the number of samples at which half of the trainings reach risk ε.",
            _nstar_panels(widgets, contents.eps),
        ),
        DashboardSection(
            "Risk against n", "The learning curves that n* is read from.", _risk_panels(widgets)
        ),
        DashboardSection(
            "Feature correction",
            "Errors of the learned features after every phase, at the largest n.",
            _correction_panels(widgets, contents.probes),
        ),
        DashboardSection(
            "Figures of the study",
            "Those of the report, over all cells.",
            _figure_panels(widgets, contents.images),
        ),
        DashboardSection("Failures", "How trainings end.", _outcome_panels(widgets)),
        DashboardSection("Cost", "Seconds of one process.", _cost_panels(widgets)),
        DashboardSection(
            "Tables",
            "n*, exponents, local exponents and claims of the study.",
            [widgets.WeavePanelSummaryTable(table_name=f"tables/{name}") for name in STUDY_TABLES],
        ),
    ]


def _claim_panels(widgets: Any, images: tuple[str, ...]) -> list[Any]:
    """The board, and how many claims have which verdict; none for a study without claims."""
    if BOARD not in images:
        return []
    board = _show_images(widgets, "claims, one line each", [BOARD], columns=1)
    verdicts = [widgets.SummaryMetric(f"claims/{verdict}") for verdict in Verdict]
    return [board, widgets.BarPlot(title="claims by verdict", metrics=verdicts)]


def _figure_panels(widgets: Any, images: tuple[str, ...]) -> list[Any]:
    """A panel per figure of the study, as on its page."""
    figures = [name for name in images if name != BOARD]
    return [_show_images(widgets, name, [name], columns=1) for name in figures]


def _show_images(widgets: Any, title: str, names: list[str], columns: int) -> Any:
    """Images of runs, by the names they are logged with."""
    keys = [f"figures/{name}" for name in names]
    return widgets.MediaBrowser(title=title, media_keys=keys, num_columns=columns)


def _nstar_panels(widgets: Any, levels: tuple[float, ...]) -> list[Any]:
    """n* against d, then against L, a panel per level of risk."""
    against_d = []
    against_depth = []
    for eps in levels:
        nstar = widgets.SummaryMetric(f"nstar/{metric_level(eps)}")
        against_d.append(
            widgets.ScatterPlot(
                title=f"n*(d) at ε = {eps:g}",
                x=widgets.Config("d"),
                y=nstar,
                log_x=True,
                log_y=True,
                legend_template="${config:method} L=${config:L}: ${y}",
            )
        )
        against_depth.append(
            widgets.ScatterPlot(
                title=f"n*(L) at ε = {eps:g}",
                x=widgets.Config("L"),
                y=nstar,
                log_y=True,
                legend_template="${config:method} d=${config:d}: ${y}",
            )
        )
    return [*against_d, *against_depth]


def _risk_panels(widgets: Any) -> list[Any]:
    return [
        widgets.CustomChart(
            query={"summaryTable": {"tableKey": "tables/risk_per_n"}},
            chart_name="wandb/line/v0",
            chart_fields={"x": "n", "y": "median"},
            chart_strings={"title": "median risk against n"},
        ),
        _show_images(widgets, "risk against n, cell by cell", ["risk"], columns=2),
        widgets.LinePlot(
            title="risk of the trainings, in the order of storing",
            x="trainings",
            y=["risk"],
            log_y=True,
        ),
    ]


def _correction_panels(widgets: Any, probes: tuple[str, ...]) -> list[Any]:
    """A bar plot per probed quantity, with a bar per phase, and the figures of the cells."""
    metrics: dict[str, list[Any]] = {}
    for probe in probes:
        _, _, quantity = probe.partition("/")
        metrics.setdefault(quantity, []).append(widgets.SummaryMetric(f"probe/{probe}"))
    panels = []
    for quantity, quantity_metrics in metrics.items():
        if quantity.split("/")[0] in CORRECTION_QUANTITIES:
            title = f"{quantity} after every phase (median)"
            panels.append(_bars(widgets, title, quantity_metrics, "median"))
    if metrics:
        panels.append(
            _show_images(widgets, "feature errors phase by phase", ["correction"], columns=2)
        )
    return panels


def _outcome_panels(widgets: Any) -> list[Any]:
    panels = []
    for outcome in Outcome:
        title = f"trainings: {outcome.value.replace('_', ' ')}"
        metrics = [widgets.SummaryMetric(f"outcome/{outcome.value}")]
        panels.append(_bars(widgets, title, metrics, "sum"))
    return panels


def _cost_panels(widgets: Any) -> list[Any]:
    seconds = widgets.SummaryMetric("seconds")
    return [
        _bars(widgets, "seconds", [seconds], "sum"),
        _bars(widgets, "trainings", [widgets.SummaryMetric("trainings")], "sum"),
        widgets.ScatterPlot(
            title="seconds against d", x=widgets.Config("d"), y=seconds, log_x=True, log_y=True
        ),
    ]


def _bars(widgets: Any, title: str, metrics: list[Any], aggregate: str) -> Any:
    """A bar plot with the runs of each method aggregated."""
    return widgets.BarPlot(
        title=title,
        metrics=metrics,
        groupby=widgets.Config("method"),
        groupby_aggfunc=aggregate,
    )
