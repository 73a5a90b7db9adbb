"""Every kind of figure on data from which it must draw: its series, labels and values.

A new file in ``analysis/plots`` needs a case here.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from figure_data import (
    RADII,
    STEPS,
    make_changes,
    make_depths,
    make_doses,
    make_dynamics,
    make_evidence,
    make_gaps,
    make_laws,
    make_nothing,
    make_radial_trainings,
    make_schedules,
    make_sizes,
)
from synthetic import write_cell

from analysis.chart import Chart, FigureDescription, TableFigure
from analysis.evidence import Evidence
from analysis.load import load_results
from analysis.paper import draw
from analysis.path_norm import compute_norm_bounds
from analysis.registry import call_part, list_options, list_parts, load_part
from analysis.swept_lines import select_axis
from analysis.web.plotly_figure import make_plotly_figures


@dataclass(frozen=True)
class Case:
    """Data for one kind of figure, and a check of what it draws."""

    make_evidence: Callable[[], Evidence]
    check: Callable[[list[FigureDescription], Evidence], None]
    options: Mapping[str, Any] = field(default_factory=dict)


def select(figure: FigureDescription, series: str, panel: str = "") -> pd.DataFrame:
    """The drawn rows of one series, in panels whose label begins with ``panel``."""
    assert isinstance(figure, Chart)
    table = figure.to_table()
    return table[(table["series"] == series) & table["panel"].str.startswith(panel)]


def read_values(figure: FigureDescription, series: str, panel: str = "") -> dict[float, float]:
    """x → y of one series."""
    rows = select(figure, series, panel)
    return dict(zip(rows["x"], rows["y"], strict=True))


_store: dict[str, Evidence] = {}


@pytest.fixture(scope="module", autouse=True)
def _written_store(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A store with n* at two d and two L, feature probes and a plateau with confirming runs."""
    root = tmp_path_factory.mktemp("store")
    for d in (8, 16):
        write_cell(root, f"staged{d}", d=d, probes=True)
        method = "layerwise quadratic_densenet"
        write_cell(root, f"layerwise{d}", d=d, method=method, centre=400, floor=0.033)
    write_cell(root, "deep", d=16, L=4, centre=300)
    (_store["evidence"],) = load_results(root).studies.values()


def read_store() -> Evidence:
    return _store["evidence"]


def check_nstar_against_d(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    nstar = evidence.nstar[evidence.nstar["L"] == 3]
    assert set(nstar["censored"]) == {"", "right"}
    for row in nstar.to_dict("records"):
        drawn = select(chart, row["line"], f"ε = {row['eps']:g}, n*")
        drawn = drawn[drawn["d"] == row["d"]]
        assert list(drawn["y"]) == [row["nstar"]]
        assert list(drawn["lo"]) == [row["lo"]]
        assert list(drawn["mark"]) == ["up" if row["censored"] == "right" else ""]
    local = select_axis(evidence.local, "d")
    local = local[np.isfinite(local["exponent"])]
    for row in local.to_dict("records"):
        drawn = select(chart, row["line"], f"ε = {row['eps']:g}, local exponent")
        assert list(drawn["y"]) == [row["exponent"]]


def check_nstar_against_depth(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    for row in evidence.depth.to_dict("records"):
        drawn = select(chart, row["line"], f"d = 16, ε = {row['eps']:g}, n*")
        drawn = drawn[(drawn["form"] == "points") & (drawn["L"] == row["L"])]
        assert list(drawn["y"]) == [row["nstar"]]
    assert set(evidence.depth["L"]) == {3, 4}
    local = select_axis(evidence.local, "L")
    local = local[np.isfinite(local["rate"])]
    assert len(local)
    for row in local.to_dict("records"):
        drawn = select(chart, row["line"], f"d = 16, ε = {row['eps']:g}, factor per level")
        assert list(drawn["y"]) == [np.exp(row["rate"])]


def check_risk_against_n(figures: list[FigureDescription], evidence: Evidence) -> None:
    assert [figure.name for figure in figures] == [
        "risk-quadratic_densenet-L3",
        "risk-quadratic_densenet-L4",
    ]
    rows = evidence.trainings
    for d in (8, 16):
        at_d = rows[(rows["d"] == d) & (rows["L"] == 3)]
        for line in ("staged quadratic_densenet", "layerwise quadratic_densenet"):
            runs = at_d[(at_d["line"] == line) & (at_d["kind"] == "training")]
            medians = runs.groupby("n")["risk"].quantile(0.5, interpolation="nearest")
            drawn = select(figures[0], line, f"d = {d},")
            assert list(drawn.loc[drawn["form"] == "curve", "y"]) == list(medians)
        star = read_values(figures[0], "layerwise quadratic_densenet: confirming runs", f"d = {d},")
        assert list(star.values()) == [0.033]
    rings = select(figures[0], "staged quadratic_densenet: n*", "d = 8,")
    nstar = evidence.nstar
    is_shown = (nstar["method"] == "staged quadratic_densenet") & (nstar["d"] == 8)
    assert sorted(rings["x"]) == sorted(nstar.loc[is_shown & (nstar["L"] == 3), "nstar"])


def check_feature_correction(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    rows = evidence.trainings
    rows = rows[(rows["line"] == "staged quadratic_densenet") & (rows["d"] == 16)]
    rows = rows[(rows["L"] == 3) & (rows["n"] == rows.loc[rows["L"] == 3, "n"].max())]
    drawn = select(chart, "staged quadratic_densenet", "Gram error, level 2")
    assert list(drawn["y"]) == [rows["level2/gram/2"].median(), rows["level3/gram/2"].median()]
    seeds = select(chart, "staged quadratic_densenet: seeds", "Gram error, level 2")
    assert sorted(seeds["y"]) == sorted([*rows["level2/gram/2"], *rows["level3/gram/2"]])


def check_dose_response(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    assert isinstance(chart, Chart)
    assert [panel.title for (panel,) in chart.columns] == [
        "samples needed",
        "relative test risk",
        "Gram error of level 2",
        "feature error of level 3 (1 − R²)",
        "Gram error of level 2, own phase over end",
    ]
    assert list(select(chart, "bfc-0 net", "samples")["y"]) == [90, 60]
    expected = {
        "relative test risk": (0.2, 0.05),
        "Gram error of level 2, Gram": (0.4, 0.1),
        "feature error": (0.1, 0.025),
        "Gram error of level 2, own": (2.0, 8.0),
    }
    for panel, (first, second) in expected.items():
        assert read_values(chart, "median", panel) == pytest.approx({0: first, 1: second})


def check_feature_change(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    assert set(chart.to_table()["series"]) == {"level3"}
    assert read_values(chart, "level3", "m, correlation") == pytest.approx({2: 0.9})
    assert read_values(chart, "level3", "m, linear CKA") == pytest.approx({2: 0.7})


def check_law_of_correction(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    law = "level 2 alone, L = 3"
    measured = {0.1: 0.05, 0.4: 0.2, 1.6: 0.8}
    assert read_values(chart, "m", law) == pytest.approx(measured)
    predicted = {ratio: 0.48 * ratio for ratio in measured}
    assert read_values(chart, "m: predicted", law) == pytest.approx(predicted)
    errors = read_values(chart, "level 2 after phase 2, L = 3", "after each phase")
    assert errors == pytest.approx(measured)
    assert read_values(chart, "bound", "after each phase") == {0.1: 0.1, 1.6: 1.6}


def check_risk_against_depth(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    assert isinstance(chart, Chart)
    medians = evidence.trainings.groupby("L")["risk"].quantile(0.5, interpolation="nearest")
    assert read_values(chart, "m") == medians.to_dict()
    assert chart.columns[0][0].x.ticks == {2: "2 (2)", 3: "3 (4)"}


def check_schedules_against_depth(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    assert isinstance(chart, Chart)
    assert [stack[0].title for stack in chart.columns] == ["t, ε = 0.1", "u, ε = 0.1"]
    points = select(chart, "layerwise m", "t")
    points = points[points["form"] == "points"]
    assert list(points["y"]) == pytest.approx([2.0, 3.0])
    assert list(points["hi"]) == pytest.approx([2.5, 3.75])


def check_success_map(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    assert read_values(chart, "m", "widths p = [4, 2]") == {0.5: 0.75, 1.0: 0.25}
    assert list(select(chart, "m")["note"]) == ["6 of 8", "2 of 8"]


def check_nstar_over_law(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    first, second = select(chart, "a", "ε = 0.1, n* / (P2)"), select(chart, "b", "ε = 0.1")
    assert list(first["y"]) == pytest.approx([2.0, 2.0])
    assert list(first["lo"]) == pytest.approx([1.0, 1.0])
    law = [8**2 * math.log(8), 16**2 * math.log(16)]
    sizes = evidence.nstar[(evidence.nstar["method"] == "b") & (evidence.nstar["eps"] == 0.1)]
    assert list(second["y"]) == pytest.approx(list(sizes["nstar"] / law))


def check_radial_profile(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    hinge = {radius: max(1 - radius, 0) for radius in RADII}
    assert read_values(chart, "target") == pytest.approx(hinge)
    assert read_values(chart, "step 400") == pytest.approx(hinge)
    assert read_values(chart, "step 0") == dict.fromkeys(RADII, 0)


def check_neuron_cloud(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    first, last = select(chart, "step 0"), select(chart, "step 400")
    assert list(first["x"]) == pytest.approx([0.0, 0.01, 0.02, 0.03])
    assert list(last["x"]) == pytest.approx([-1.0, -0.99, -0.98, -0.97])
    assert list(last["y"]) == pytest.approx([0.0, 0.02, 0.04, 0.06])


def check_loss_decomposition(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    later = dict(enumerate(STEPS[1:], 1))
    risk = {step: 1.5 * 0.3**number for number, step in later.items()}
    assert read_values(chart, "risk") == pytest.approx(risk)
    assert read_values(chart, "|cross term|") == pytest.approx(dict.fromkeys(risk, 1e-4))
    spread = {step: 0.06 - 0.01 * number for number, step in later.items()}
    assert read_values(chart, "sd(F/‖x‖)/mean") == pytest.approx(spread)


def check_norm_table(figures: list[FigureDescription], evidence: Evidence) -> None:
    chart, table = figures
    assert isinstance(table, TableFigure)
    assert list(table.data["d"]) == ["2", "2", "4", "4", "∞", "∞"]
    bounds = [compute_norm_bounds("limit", d, eps) for d in (2, 4, 0) for eps in (0.1, 0.05)]
    assert list(table.data["lower"]) == [bound.lower for bound in bounds]
    assert list(table.data["upper"]) == [bound.upper for bound in bounds]
    drawn = select(chart, "ε = 0.1")
    assert list(drawn["x"]) == [2, 4]
    assert list(drawn["y"]) == [bounds[0].lower, bounds[2].lower]
    assert list(drawn["hi"]) == [bounds[0].upper, bounds[2].upper]


def check_two_layer_floor(figures: list[FigureDescription], evidence: Evidence) -> None:
    (chart,) = figures
    points, bound = select(chart, "m", "d = 4,"), select(chart, "floor", "d = 4,")
    assert list(points["y"]) == list(evidence.trainings["risk"])
    assert set(points["x"]) == {0.5}
    assert bound["x"].iloc[0] == 0.25 and len(bound) > 10
    assert (np.diff(bound["y"]) <= 0).all() and (bound["y"] < 1).all()


LAWS = {"laws": {"a": "P2", "b": "d^2 ln d"}}
CASES = {
    "dose_response": Case(make_doses, check_dose_response, {"methods": ["bfc-0 net", "bfc-1 net"]}),
    "feature_change": Case(make_changes, check_feature_change),
    "feature_correction": Case(read_store, check_feature_correction),
    "law_of_correction": Case(make_laws, check_law_of_correction),
    "loss_decomposition": Case(make_dynamics, check_loss_decomposition),
    "neuron_cloud": Case(make_dynamics, check_neuron_cloud),
    "norm_table": Case(make_nothing, check_norm_table, {"d": [2, 4, 0], "eps": [0.1, 0.05]}),
    "nstar_against_d": Case(read_store, check_nstar_against_d),
    "nstar_against_depth": Case(read_store, check_nstar_against_depth),
    "nstar_over_law": Case(make_sizes, check_nstar_over_law, LAWS),
    "radial_profile": Case(make_dynamics, check_radial_profile),
    "risk_against_depth": Case(make_depths, check_risk_against_depth),
    "risk_against_n": Case(read_store, check_risk_against_n),
    "schedules_against_depth": Case(make_schedules, check_schedules_against_depth),
    "success_map": Case(make_gaps, check_success_map, {"risk": 0.005}),
    "two_layer_floor": Case(lambda: make_evidence(make_radial_trainings()), check_two_layer_floor),
}


def make(name: str) -> tuple[list[FigureDescription], Evidence]:
    """The figures of one kind on its data."""
    case = CASES[name]
    evidence = case.make_evidence()
    function = load_part("plots", name, "test")
    return list(call_part(function, evidence, case.options, "test")), evidence


def test_every_kind_of_figure_has_a_case() -> None:
    assert sorted(CASES) == list_parts("plots")


@pytest.mark.parametrize("name", CASES)
def test_a_kind_of_figure_is_a_documented_function_whose_options_are_named(name: str) -> None:
    function = load_part("plots", name, "test")
    assert function.__doc__
    required = {option for option, needed in list_options(function).items() if needed}
    assert required <= set(CASES[name].options)


@pytest.mark.parametrize("name", CASES)
def test_it_draws_the_values_of_its_data(name: str) -> None:
    figures, evidence = make(name)
    CASES[name].check(figures, evidence)


@pytest.mark.parametrize("name", CASES)
def test_every_panel_has_series_and_labelled_axes(name: str) -> None:
    figures, _ = make(name)
    charts = [figure for figure in figures if isinstance(figure, Chart)]
    assert charts
    for chart in charts:
        assert chart.name and chart.caption and chart.columns
        for stack in chart.columns:
            for panel in stack:
                assert panel.x.label and panel.y.label
                assert any(len(series.data) for series in panel.series)
                assert any(series.legend for series in stack[0].series)


@pytest.mark.parametrize("name", CASES)
def test_it_is_drawn_on_paper_and_is_valid_for_plotly(name: str) -> None:
    figures, _ = make(name)
    for chart in (figure for figure in figures if isinstance(figure, Chart)):
        for plotted in make_plotly_figures(chart):
            json.dumps(plotted, allow_nan=False)
            go.Figure(plotted)
        assert np.isfinite(chart.to_table()["x"].astype(float)).all()
        axes = draw(chart).axes
        assert len(axes) == sum(len(stack) for stack in chart.columns)
        assert all(axis.has_data() and axis.get_xscale() for axis in axes)
        labels = {axis.get_xlabel() for axis in axes} - {""}
        assert labels == {stack[-1].x.label for stack in chart.columns}
        assert any(axis.get_ylabel() for axis in axes)


LONG_LABEL = "n* (labels, validation included)"


def lengthen_labels(chart: Chart) -> Chart:
    """The chart with :data:`LONG_LABEL` as the label of every y axis."""
    columns = []
    for stack in chart.columns:
        columns.append([replace(panel, y=replace(panel.y, label=LONG_LABEL)) for panel in stack])
    return replace(chart, columns=columns)


@pytest.mark.parametrize("name", CASES)
def test_long_labels_of_y_are_wrapped_beside_their_panels(name: str) -> None:
    """None runs into that of the panel above or below, or out of the figure."""
    figures, _ = make(name)
    for chart in (figure for figure in figures if isinstance(figure, Chart)):
        figure = draw(lengthen_labels(chart))
        figure.draw_without_rendering()
        labels = [axis.yaxis.label for axis in figure.axes if axis.get_ylabel()]
        boxes = [label.get_window_extent() for label in labels]
        for box in boxes:
            assert -1 <= box.y0 < box.y1 <= figure.bbox.height + 1
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other)
