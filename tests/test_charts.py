"""Figures as data: how charts become files, JSON and tables, and which figures a study gets.

Also the styles of lines, guides from theory, and requests that are refused. What each kind of
figure draws is tested in ``test_figure_kinds``.
"""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import write_cell

from analysis import figures
from analysis.chart import Axis, Chart, Panel, Series, TableFigure
from analysis.evidence import Evidence
from analysis.load import load_results
from analysis.paper import COLUMN, STYLE, draw, save
from analysis.series import LARGEST_SPREAD, spread_lines
from analysis.style import COLOURS, DARK, LineStyle, assign_line_styles
from analysis.theory import load_predictions, make_guides
from analysis.web.plotly_figure import make_plotly_figures
from analysis.web.plotly_traces import make_traces
from bfc.errors import UserError
from bfc.targets.quadratic_densenet import kernel_bound

STYLE_OF_SERIES = LineStyle("#0072B2", "o", "-")


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    root = tmp_path_factory.mktemp("charts")
    for d in (8, 16):
        write_cell(
            root,
            f"s{d}",
            d=d,
            probes=True,
            config={"target.alpha": [1.0, 0.5], "target.numerics": 1},
        )
        write_cell(
            root, f"l{d}", d=d, method="layerwise quadratic_densenet", centre=400, floor=0.033
        )
    write_cell(root, "deep", d=16, L=4, centre=300)
    (evidence,) = load_results(root).studies.values()
    return evidence


def chart(*series, **panel):
    return Chart(
        "c",
        "caption",
        [[Panel(series, panel.pop("x", Axis("x")), panel.pop("y", Axis("y")), **panel)]],
    )


def test_the_main_figures_come_first_and_hold_what_the_tables_say(evidence):
    names = [figure.name for figure in figures.make_figures(evidence)]
    assert names[:5] == [
        "nstar-quadratic_densenet-L3",
        "depth-quadratic_densenet",
        "risk-quadratic_densenet-L3",
        "risk-quadratic_densenet-L4",
        "correction-quadratic_densenet-L3",
    ]
    drawn = next(iter(figures.make_figures(evidence))).to_table()
    for row in evidence.nstar[evidence.nstar["L"] == 3].itertuples():
        same = drawn[
            (drawn["series"] == row.line)
            & (drawn["d"] == row.d)
            & drawn["panel"].str.startswith(f"ε = {row.eps:g},")
        ]
        assert list(same["y"]) == pytest.approx([row.nstar]) and list(same["mark"]) == [
            "up" if row.censored == "right" else ""
        ]


@pytest.mark.parametrize(
    "requests, sentence",
    [
        ([{"figure": "nstar_agianst_d"}], "no such plot; did you mean nstar_against_d?"),
        ([{"figure": "nstar_against_d", "color": 1}], "nstar_against_d has no option color"),
        ([{}], "must be a list of mappings, each with a key figure"),
        (["text"], "must be a list of mappings"),
    ],
)
def test_what_a_study_cannot_ask_for_is_refused(evidence, requests, sentence):
    with pytest.raises(UserError, match=sentence):
        list(figures.make_figures(evidence, requests))


def test_a_figure_asked_for_is_not_drawn_twice(evidence):
    once = [figure.name for figure in figures.make_figures(evidence)]
    assert sorted(
        figure.name for figure in figures.make_figures(evidence, [{"figure": "nstar_against_d"}])
    ) == sorted(once)


def test_a_table_figure_is_written_as_csv_and_equal_names_do_not_collide(
    evidence, monkeypatch, tmp_path
):
    table = TableFigure("norms", "Norms", "caption", pd.DataFrame({"a": [1, 2]}))
    monkeypatch.setattr(figures, "make_figures", lambda *_: iter([table, table]))
    named = figures.name_figures(evidence)
    assert [figure.name for figure in named] == ["synthetic-norms", "synthetic-norms-2"]
    figures.write_tables(named, tmp_path)
    paths = sorted(path.name for path in tmp_path.iterdir())
    assert paths == ["synthetic-norms-2.csv", "synthetic-norms.csv"]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / paths[0]), table.data)


@pytest.mark.parametrize("form", ["points", "line", "curve", "band", "ring"])
def test_every_form_is_drawn_with_and_without_intervals(form):
    data = pd.DataFrame({"x": [1.0, 2, 3], "y": [3.0, 2, 5]})
    full = data.assign(
        lo=[1.0, 1, np.nan],
        hi=[4.0, math.inf, 6],
        left=[0.5, 1, 2],
        right=[1.5, 3, 4],
        mark=["", "up", "down"],
        part=["a", "a", "b"],
    )
    for table in [full] if form == "band" else [data, full, data.iloc[:0]]:
        for log in (True, False):
            series = Series("s", STYLE_OF_SERIES, table, form, "s")
            (axis,) = draw(chart(series, x=Axis("x", log), y=Axis("y", log))).axes
            assert axis.has_data() == bool(len(table))
            assert axis.get_xscale() == axis.get_yscale() == ("log" if log else "linear")


def test_the_table_and_the_plotly_figure_hold_every_series_once_and_open_ends_have_no_bar():
    data = pd.DataFrame(
        {
            "x": [1.0, 2],
            "y": [3.0, 4],
            "lo": [2.0, np.nan],
            "hi": [math.inf, 5],
            "note": ["a", None],
        }
    )
    made = chart(
        Series("s", STYLE_OF_SERIES, data),
        Series("t", STYLE_OF_SERIES, data[["x", "y"]], "line"),
        Series("none", STYLE_OF_SERIES, data.iloc[:0]),
        title="T",
    )
    table = made.to_table()
    assert list(table.columns[:5]) == ["panel", "series", "form", "x", "y"] and list(
        table["series"]
    ) == ["s", "s", "t", "t"]
    assert set(table["panel"]) == {"T, y"}
    (figure,) = make_plotly_figures(made)
    points, line = figure["data"]
    assert (points["name"], line["name"]) == ("s", "t")
    assert points["y"] == [3, 4] and line["mode"] == "lines"
    assert points["error_y"]["array"] == [0, 1] and points["error_y"]["arrayminus"] == [1, 0]
    assert points["text"][0] == "s<br>x: 1<br>y: 3<br>a" and points["text"][1].endswith("y: 4")
    assert chart().to_table().empty


def test_equal_charts_give_equal_files_and_text_stays_out_of_math_mode(tmp_path):
    made = chart(
        Series(
            "$s^2$ [x]",
            STYLE_OF_SERIES,
            pd.DataFrame({"x": [1.0, 2], "y": [3.0, 4]}),
            "curve",
            "$s^2$",
        )
    )
    one, two = (save(made, tmp_path / name) for name in ("a", "b"))
    assert [path.suffix for path in one] == [".png", ".svg", ".pdf"]
    for first, second in zip(one, two, strict=True):
        assert first.read_bytes() == second.read_bytes()
    assert "text.usetex: False" in Path(STYLE).read_text()


def test_a_legend_says_each_text_once_and_notes_last():
    data = pd.DataFrame({"x": [1.0], "y": [1.0]})
    series = (
        Series("a", STYLE_OF_SERIES, data, legend="A"),
        Series("b", STYLE_OF_SERIES, data, "line", "A"),
        Series("c", STYLE_OF_SERIES, data),
    )
    made = replace(chart(*series), notes=("† n",))
    (legend,) = draw(made).legends
    assert [text.get_text() for text in legend.get_texts()] == ["A", "† n"]


@pytest.mark.parametrize("legend", ["column", "figure"])
@pytest.mark.parametrize("count", [1, 8, 10, 62])
def test_a_long_legend_takes_no_room_from_the_panel(legend, count):
    data = pd.DataFrame({"x": [1.0, 2.0], "y": [1.0, 2.0]})
    names = [f"a method with a rather long name, number {number}" for number in range(count)]
    series = [Series(name, STYLE_OF_SERIES, data, legend=name) for name in names]
    figure = draw(replace(chart(*series), legend=legend, legend_title="method"))
    figure.canvas.draw()
    (axes,) = figure.axes
    box = axes.get_legend() if legend == "column" else figure.legends[0]
    assert box.get_window_extent().y1 <= axes.xaxis.label.get_window_extent().y0 + 1
    assert box.get_window_extent().y0 >= -1
    assert axes.get_window_extent().height / figure.dpi >= 0.6 * chart().heights[0]


@pytest.mark.parametrize("count", [1, 2, 8, 62])
def test_points_of_all_lines_lie_around_their_place(count):
    factors = np.array(spread_lines(count, 1.012))
    assert len(factors) == count and (np.diff(factors) > 0).all()
    assert factors[-1] / factors[0] <= LARGEST_SPREAD * (1 + 1e-12)
    assert factors[0] * factors[-1] == pytest.approx(1.0)
    if count == 2:
        assert factors[1] / factors[0] == pytest.approx(1.012)


def test_a_line_is_broken_where_its_part_changes():
    data = pd.DataFrame({"x": [1, 1, 2, 2], "y": [1, 5, 2, 6], "part": ["b", "a", "b", "a"]})
    (trace,) = make_traces(
        Series("s", STYLE_OF_SERIES, data, "line", faint=True),
        Panel([], Axis("x"), Axis("y")),
        "y",
        None,
    )
    assert (trace["x"], trace["y"]) == ([1, 2, None, 1, 2], [1, 2, None, 5, 6])


def test_in_one_column_panels_stand_below_each_other_and_long_legends_are_broken(evidence):
    figure = draw(next(figures.make_figures(evidence)), width=COLUMN)
    tops = [axis for axis in figure.axes if axis.get_title()]
    assert (
        figure.get_figwidth() == COLUMN
        and len({round(axis.get_position().x0, 2) for axis in tops}) == 1
        and len(tops) == 2
    )
    figure.canvas.draw()
    longest = max(
        len(line)
        for axis in figure.axes
        if axis.get_legend()
        for text in axis.get_legend().get_texts()
        for line in text.get_text().splitlines()
    )
    assert longest <= 17 * COLUMN


def test_methods_keep_their_colour_over_studies_and_lines_of_one_method_differ_in_dash():
    rows = pd.DataFrame({"method": ["m", "m", "k"], "line": ["m, lr=1", "m, lr=2", "k"]})
    styles = assign_line_styles(rows)
    assert styles["m, lr=1"].colour == styles["m, lr=2"].colour != styles["k"].colour
    assert styles["m, lr=1"].dash != styles["m, lr=2"].dash and len(COLOURS) == len(DARK) == len(
        set(COLOURS)
    ) == len(set(DARK))
    assert styles["m"].colour == styles["m, lr=1"].colour, "a figure may also ask by method"


def test_methods_of_one_study_differ_in_colour_whatever_other_studies_are_on_the_page():
    """Forty methods in ten studies, one of them in all: five and one methods a study, so there are
    colours enough for each study."""
    names = [f"method {number}" for number in range(40)]
    rows = pd.DataFrame(
        {"method": [*names, *["common"] * 10], "study": [*(i % 10 for i in range(40)), *range(10)]}
    )
    styles = assign_line_styles(rows.assign(line=rows["method"]))
    for _, group in rows.groupby("study"):
        assert len({styles[method].colour for method in group["method"]}) == len(group)
    crowd = assign_line_styles(pd.DataFrame({"method": names, "line": names}))
    assert len({(look.colour, look.marker) for look in crowd.values()}) == len(names)
    assert (
        assign_line_styles(rows[:1].assign(line=names[:1]))[names[0]].colour
        == styles[names[0]].colour
    ), "mostly the same on another page"


def theory(**changes):
    rows = [
        {
            "d": d,
            "kind": "kernel",
            "exponent": 4.0,
            "bound": "lower",
            "source": "a paper",
            "nstar": math.comb(d, 4) / 1000,
        }
        for d in (8, 16, 64, 128)
    ]
    return pd.DataFrame(rows).assign(**changes)


def test_a_bound_is_drawn_where_it_reaches_what_was_measured():
    (line,) = make_guides(
        theory(), pd.DataFrame({"d": [8, 16, 64, 128], "nstar": [100.0, 200, 300, 400]})
    )
    assert list(line.data["x"]) == [64, 128] and list(line.data["y"]) == [
        math.comb(64, 4) / 1000,
        math.comb(128, 4) / 1000,
    ]
    assert line.legend == "kernel, lower: a paper"


@pytest.mark.parametrize("changes", [{}, {"nstar": None}])
def test_a_bound_that_says_nothing_becomes_a_slope_within_what_is_shown(changes):
    (line,) = make_guides(
        theory(**changes).iloc[:2], pd.DataFrame({"d": [8, 16], "nstar": [100.0, 200]})
    )
    x, y = line.data["x"].to_numpy(), line.data["y"].to_numpy()
    assert (
        np.log(y[1] / y[0]) / np.log(x[1] / x[0]) == pytest.approx(4)
        and y[0] < 100
        and y[1] == pytest.approx(200)
    )
    assert line.legend.startswith("slope d^4: kernel, lower: a paper") and x[1] < 16
    assert make_guides(theory(), pd.DataFrame({"d": [8], "nstar": [np.nan]})) == []


def test_theory_is_that_of_the_stored_target_and_nothing_where_it_cannot_be_rebuilt(evidence):
    of_depth_three = evidence.trainings[evidence.trainings["L"] == 3]
    predicted = load_predictions(of_depth_three, "quadratic_densenet")
    kernel = predicted[predicted["kind"] == "kernel"]
    assert list(kernel["d"]) == [8, 16] and set(kernel["exponent"]) == {4.0}
    assert list(kernel["nstar"]) == [kernel_bound(8, 4), kernel_bound(16, 4)]
    broken = evidence.trainings.assign(**{"config.target._target_": "os.system"})
    assert load_predictions(broken, "quadratic_densenet").empty


def test_studies_of_different_targets_and_probes_in_one_store_do_not_disturb_each_other(tmp_path):
    """Columns that only the other study has stay empty: theory is still shown, and traces are
    drawn where there are any."""
    for d in (8, 16):
        write_cell(
            tmp_path, f"a{d}", d=d, config={"target.alpha": [1.0, 0.5], "target.numerics": 1}
        )
        looked = write_cell(
            tmp_path,
            f"b{d}",
            d=d,
            study="another",
            config={"target._target_": "elsewhere", "target.profile": "hinge"},
        )
        pd.DataFrame(
            {"n": [64], "seed": [0], "step": [1], "stage": ["all"], "profile/0.5": [0.1]}
        ).to_parquet(looked / "trace.parquet")
    studies = load_results(tmp_path).studies
    assert len(studies["another"].traces) == 2 and studies["synthetic"].traces.empty
    names = [figure.name for figure in figures.make_figures(studies["synthetic"])]
    assert (
        names[0] == "nstar-quadratic_densenet-L3"
        and not load_predictions(studies["synthetic"].trainings, "quadratic_densenet").empty
    )


def test_evidence_can_be_made_of_three_tables():
    empty = pd.DataFrame()
    assert Evidence(empty, empty, empty).traces.empty
