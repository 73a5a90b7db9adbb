"""The board, cards and studies as data: positions of the forest plot, emphasis, answers."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.chart import Axis, Chart, Panel, Series
from analysis.claim_table import describe_judgement, format_finding, format_judging_interval
from analysis.claims import COLUMNS
from analysis.emphasis import BACKGROUND, emphasise_lines
from analysis.figures import NamedFigure
from analysis.style import LineStyle
from analysis.web.claim_views import ClaimView, Group, group_claims, make_claim_views
from analysis.web.document import make_cards
from analysis.web.forest import make_forest_line
from analysis.web.study_views import answer_question

INF = math.inf
ROWS = {
    "inside": ({"measured": 3.0, "lo": 2.5, "hi": 3.6, "at_least": 2.0}, (0, 1)),
    "outside": ({"measured": 1.0, "lo": 0.8, "hi": 1.3, "at_least": 2.0}, (-1, 0)),
    "upper": ({"measured": 1.0, "lo": 0.8, "hi": 1.3, "at_most": 2.0}, (-1, 0)),
    "crossing": ({"measured": 2.1, "lo": 1.8, "hi": 2.4, "at_least": 2.0}, (-1, 1)),
    "negative": ({"measured": -0.5, "lo": -0.7, "hi": -0.2, "at_most": 0.0}, (-1, 0)),
    "between": ({"measured": 1.0, "lo": 0.9, "hi": 1.1, "at_least": 0.5, "at_most": 2.0}, (-1, 1)),
    "open": ({"measured": 3.0, "lo": 2.5, "hi": INF, "at_least": 2.0}, (0, 1)),
}


def make_row(values):
    row = {"at_least": -INF, "at_most": INF, **values}
    return {"judged_lo": row["lo"], "judged_hi": row["hi"], **row}


@pytest.mark.parametrize("name", ROWS)
def test_larger_numbers_lie_to_the_right_of_smaller_ones_and_the_region_where_it_is_demanded(name):
    values, (lowest, highest) = ROWS[name]
    line = make_forest_line(make_row(values))
    lo, hi = line.judged
    is_upper = "at_most" in values and "at_least" not in values
    if "at_least" not in values or "at_most" not in values:
        assert line.region == ((-1, 0) if is_upper else (0, 1)) and line.thresholds == (0,)
        assert line.demand == ("≤ " if is_upper else "≥ ") + f"{values.get('at_most', 2.0):g}"
    else:
        assert line.thresholds == line.region and line.demand == "0.5 – 2"
    assert lowest <= lo <= line.estimate <= hi <= highest
    assert -1 <= line.region[0] < line.region[1] <= 1
    if name == "crossing":
        assert lo < 0 < hi
    if name == "between":
        assert line.region[0] < lo and hi < line.region[1]
    assert line.judged_open == (False, name == "open")


def test_a_claim_without_numbers_has_no_line():
    nothing = {"measured": np.nan, "lo": np.nan, "hi": np.nan, "at_least": 2.0}
    assert make_forest_line(make_row(nothing)) is None
    assert make_forest_line(make_row({"measured": 1.0, "lo": 1.0, "hi": 1.0})) is None


def make_chart(count):
    series = []
    for number in range(count):
        data = pd.DataFrame({"x": [1.0, 2.0], "y": [1.0, 10.0 + number]})
        style = LineStyle("#0072B2", "o", "-")
        series.append(Series(f"line {number}", style, data, "points", f"line {number}"))
        series.append(Series(f"line {number}: fit", style, data, "line"))
    return Chart("c", "caption", [[Panel(series, Axis("x"), Axis("y"))]])


@pytest.mark.parametrize("count", [1, 10, 11, 60])
def test_a_legend_has_at_most_ten_lines_and_the_rest_is_grey(count):
    chart = emphasise_lines(make_chart(count))
    (panel,) = chart.columns[0]
    assert len(panel.series) == 2 * count, "no line is lost"
    named = [series.name for series in panel.series if series.legend]
    grey = [series.name for series in panel.series if series.style.colour == BACKGROUND]
    assert len(named) == min(count, 10) and len(grey) == 2 * (count - len(named))
    if count > 10:
        assert {"line 0", f"line {count - 1}"} <= set(named), "the lowest and the highest stay"
        assert chart.notes == [f"{count - 10} further lines in grey"]
        assert panel.series[0].style.colour == BACKGROUND, "grey lines are drawn first"


def test_grey_lines_are_drawn_without_intervals_arrows_and_bands():
    chart = make_chart(12)
    (panel,) = chart.columns[0]
    extents = {"lo": 0.5, "hi": 20.0, "left": 0.9, "right": 1.1, "mark": ["", "up"]}
    series = []
    for drawn in panel.series:
        data = drawn.data.assign(**extents)
        series.append(replace(drawn, data=data))
        series.append(replace(drawn, data=data, form="band", legend=""))
        series.append(replace(drawn, data=data, form="curve", legend=""))
    chart = emphasise_lines(replace(chart, columns=[[replace(panel, series=series)]]))
    (panel,) = chart.columns[0]
    grey = [drawn for drawn in panel.series if drawn.background]
    assert len(grey) == 2 * 2 * 2 and {drawn.form for drawn in grey} == {"points", "line"}
    for drawn in grey:
        assert drawn.style.colour == BACKGROUND and not {"lo", "hi", "left"} & set(drawn.data)
        assert drawn.data["mark"].tolist() == ["", "open"] and len(drawn.data) == 2
    full = [drawn for drawn in panel.series if not drawn.background]
    assert len(full) == 10 * 6 and all("lo" in drawn.data for drawn in full)


EMPTY_TEXTS = (
    "place",
    "predicted",
    "plain",
    "judging",
    "judged",
    "source",
    "remark",
    "power",
    "p_value",
    "threshold_set",
    "command",
    "next",
    "next_price",
)


def make_view(number, verdict, measured="1", paper="p", study="s"):
    texts = dict.fromkeys(EMPTY_TEXTS, "")
    return ClaimView(
        number=number,
        study=study,
        paper=paper,
        sentence=f"claim {number}",
        verdict=verdict,
        measured=measured,
        stands=True,
        methods=(),
        cells="",
        figure="",
        **texts,
    )


def test_a_card_shows_a_decided_claim_and_of_these_the_chosen_one():
    views = [make_view(1, "undecided"), make_view(2, "reproduced"), make_view(3, "not run", "")]
    views.append(make_view(4, "contradicted"))
    papers = group_claims(views)
    assert [group.name for group in papers] == ["p"] and isinstance(papers[0].groups[0], Group)
    (card,) = make_cards(papers, {"s": ["claim 4"]})
    assert card.headline.number == 4 and card.total == 4
    (card,) = make_cards(papers, {"s": ["claim 1"]})
    assert card.headline.number == 2, "an undecided number stands for nothing that is decided"
    (card,) = make_cards(papers, {"s": ["claim 3"]})
    assert card.headline.number == 2, "a claim that was not run stands for nothing"
    (card,) = make_cards(group_claims([make_view(1, "undecided"), make_view(2, "not run", "")]), {})
    assert card.headline.number == 1
    (card,) = make_cards(group_claims([make_view(2, "not run", "")]), {})
    assert card.headline is None


def test_groups_of_one_arxiv_number_share_a_card_that_names_them():
    names = ["A, arXiv:2006.13436 (on images)", "A, arXiv:2006.13436", "B", "A, arXiv:1904.06984"]
    verdicts = ["contradicted", "reproduced", "reproduced", "undecided"]
    views = [
        make_view(number, verdict, paper=name)
        for number, (name, verdict) in enumerate(zip(names, verdicts, strict=True), 1)
    ]
    cards = {card.work: card for card in make_cards(group_claims(views), {})}
    assert list(cards) == ["arXiv:2006.13436", "B", "arXiv:1904.06984"]
    card = cards["arXiv:2006.13436"]
    assert card.paper.name == names[1] and card.parts == ["1 of these: on images"]
    assert card.paper.counts == {"reproduced": 1, "contradicted": 1}
    assert cards["B"].parts == []


def make_interval_row(measured, lo, hi):
    return {"measured": measured, "lo": lo, "hi": hi, "source": "d = 8", "verdict": "undecided"}


def test_an_interval_has_the_digits_that_tell_its_ends_apart():
    assert format_finding(make_interval_row(1.00113, 1.00061, 1.00166)) == (
        "1.001",
        "1.001 – 1.002",
    )
    assert format_finding(make_interval_row(-0.5, -0.7, 1.0)) == ("−0.5", "−0.7 – 1")
    assert format_finding(make_interval_row(0.5, 0.5, 0.5)) == ("0.5", "0.5 – 0.5")
    assert format_finding(make_interval_row(0.5, 0.4, INF)) == ("0.5", "≥ 0.4")


def test_the_interval_that_judges_is_shown_only_where_draws_judged():
    row = {**make_interval_row(1.6, 1.02, 2.99), "judged_lo": 0.916, "judged_hi": 3.07}
    assert format_judging_interval(row) == "0.916 – 3.07"
    assert format_judging_interval({**row, "verdict": "not run"}) == ""
    assert format_judging_interval({**row, "source": "certified"}) == ""


def make_nstar_chart(*columns):
    """A column per mapping, line → the marks of its points: empty where n* is bracketed."""
    stacks = []
    for lines in columns:
        series = []
        for name, marks in lines.items():
            data = pd.DataFrame({"x": 1.0, "y": 2.0, "mark": marks})
            series.append(Series(name, LineStyle("#0072B2", "o", "-"), data))
        stacks.append([Panel(series, Axis("d"), Axis("n*"))])
    return Chart("c", "caption", stacks)


def test_a_claim_shows_a_figure_of_its_kind_else_one_in_which_its_method_is_measured():
    nstar = replace(make_nstar_chart({"a": ["up", "up"]}), name="nstar-t")
    risk = replace(make_nstar_chart({"a": ["", ""]}), name="risk-t")
    other = replace(make_nstar_chart({"b": ["", ""]}), name="deep-t")
    figures = [NamedFigure(f"s-{chart.name}", chart) for chart in (nstar, risk, other)]
    row = dict.fromkeys(COLUMNS, "")
    row |= dict.fromkeys(("measured", "lo", "hi", "judged_lo", "judged_hi", "p_value"), np.nan)
    row |= {"study": "s", "verdict": "undecided", "at_least": 1.0, "at_most": INF, "methods": "a"}
    row |= {"next_price": "", "stands": False}

    def choose(kind, methods):
        table = pd.DataFrame([{**row, "figure": kind, "methods": methods}])
        return make_claim_views(table, {"s": figures})[0].figure

    assert choose("nstar", "a") == "s-nstar-t" and choose("", "a") == "s-risk-t"
    assert choose("", "b") == "s-deep-t" and choose("", "c") == ""


def test_an_answer_names_exponents_else_risks_and_the_verdicts():
    exponents = pd.DataFrame(
        {
            "line": ["a", "b"],
            "target": "t",
            "L": 3,
            "eps": 0.1,
            "exponent": [0.7, 3.2],
            "lo": [0.5, 2.9],
            "hi": [0.9, 3.5],
            "n_d": [5, 2],
        }
    )
    risks = pd.DataFrame(
        {"line": ["a"], "target": "t", "L": 3, "d": 8, "median": 0.02, "lo": 0.01, "hi": 0.03}
    )
    none = exponents.iloc[:0]
    text = answer_question(exponents, risks, {"reproduced": 2})
    assert text.startswith("At ε = 0.1, n* grows as d^0.70 [0.50, 0.90] for a and d^3.20")
    assert "d^3.20 [2.90, 3.50] (two values of d: too few to tell) for b" in text
    assert text.endswith("Of its 2 claims: 2 reproduced.")
    assert "At d = 8" in answer_question(none, risks, {})
    assert answer_question(none, risks.iloc[:0], {}) == ""


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "one-sided bounds 0.7 – 1.4, look 2 of at most 5"),
        ({"judged_sides": 2}, "the interval 0.7 – 1.4, look 2 of at most 5"),
        ({"judged_hi": INF}, "one-sided bounds ≥ 0.7, look 2 of at most 5"),
        ({"judged_lo": np.nan, "judged_hi": np.nan}, ""),
        ({"verdict": "not run"}, ""),
        ({"source": "certified"}, ""),
    ],
)
def test_a_claim_says_by_which_interval_it_was_judged(changes, text):
    row = {"verdict": "undecided", "source": "d = 8", "look": 2, "judged_sides": 1}
    assert describe_judgement({**row, "judged_lo": 0.7, "judged_hi": 1.4, **changes}) == text
