"""The report page in a real browser: no error, no request, every figure drawn with the values of
its CSV, tables that sort, zoom and hover that answer, light, dark and print. The store is the
synthetic one of ``test_analysis``."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from browser import chromium
from synthetic import write_cell, write_sweep

from analysis.page import TableCell, make_page_table
from analysis.report import write_report

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (extra: test)"
)
CLAIM = {"paper": "a paper", "statement": "staged needs few labels", "predicate": "exponent"}
CLAIMS = {
    "synthetic": [
        {**CLAIM, "thresholds": {"method": "staged quadratic_densenet", "eps": 0.01, "at_most": 3}},
        {
            **CLAIM,
            "thresholds": {"method": "staged quadratic_densenet", "eps": 0.01, "at_least": 3},
        },
        {**CLAIM, "thresholds": {"method": "nobody", "eps": 0.01, "at_least": 3}},
    ]
}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    write_sweep(root / "results", largest=12)
    folder = write_cell(root / "results", "tuned", d=24, centre=285)
    tried = [
        {"lr": lr, "median": risk, "risks": [risk]} for lr, risk in ((0.003, 0.02), (0.01, 0.004))
    ]
    (folder / "tuned.json").write_text(
        json.dumps({"lr": 0.01, "at_edge": True, "tried": tried, "seeds": [-1], "seconds": 7.0})
    )
    rows = pd.read_parquet(folder / "trainings.parquet")
    rows.assign(variance_error=0.004).to_parquet(folder / "trainings.parquet")
    made = write_report(root / "results", root / "out", claims=CLAIMS)
    shutil.copy(made.page, root / "alone.html")
    return root


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        driver = started.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield driver
        driver.close()


@pytest.fixture
def page(browser, out, request):
    """The page alone in a folder, open; whatever it complains of or asks for fails the test."""
    options = getattr(request, "param", {})
    context = browser.new_context(
        **{"viewport": {"width": 1280, "height": 800}, "accept_downloads": True, **options}
    )
    opened = context.new_page()
    said, asked = [], []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda sent: asked.append(sent.url))
    address = (out / "alone.html").as_uri()
    opened.goto(address)
    yield opened
    assert said == [] and set(asked) == {address}
    context.close()


@pytest.mark.parametrize(
    "page",
    [{}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 800}}],
    indirect=True,
    ids=["light", "dark", "narrow"],
)
def test_every_figure_is_drawn_and_nothing_leaves_its_place(page):
    charts = page.locator(".chart")
    assert charts.count() == 5
    for chart in charts.all():
        spec = json.loads(chart.locator("script").text_content())
        assert (
            chart.locator(".plots .column > div > svg").count()
            == len(spec["columns"])
            == chart.locator(".plots .column").count()
        )
        assert chart.locator(".panel").count() == sum(map(len, spec["columns"]))
        assert (
            chart.locator(".marker").count() > 3
            and "NaN" not in chart.inner_html().split("</script>", 1)[1]
        )
    drawn = page.evaluate(
        "[...document.querySelectorAll('.panel')].map(p => p.getBBox()).every(b => b.width > 100 && b.height > 60)"
    )
    assert drawn and page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
        "the page itself must not scroll sideways"
    )


def test_dark_and_light_and_print_differ_and_text_is_legible_in_each(page):
    """Contrast of text, soft text and verdicts against the page is at least 4.5 (WCAG AA), of every
    line's colour at least 2.1."""

    def luminance(text):
        rgb = (
            np.array([float(part) for part in text[text.index("(") + 1 : -1].split(",")[:3]]) / 255
        )
        return np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [
            0.2126,
            0.7152,
            0.0722,
        ]

    def contrast(one, other):
        low, high = sorted((luminance(one), luminance(other)))
        return (high + 0.05) / (low + 0.05)

    grounds = []
    for scheme, media in (("light", "screen"), ("dark", "screen"), ("dark", "print")):
        page.emulate_media(media=media, color_scheme=scheme)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        grounds.append(ground)
        for place, least in (
            ("body", 4.5),
            (".soft", 4.5),
            (".reproduced", 4.5),
            (".contradicted", 4.5),
            (".undecided", 4.5),
            ("a", 4.5),
        ):
            colour = page.evaluate(f"getComputedStyle(document.querySelector('{place}')).color")
            assert contrast(colour, ground) >= least, (scheme, media, place)
        inks = page.evaluate(
            "[...new Set([...document.querySelectorAll('.marker:not(.open)')].map(m => getComputedStyle(m).fill))]"
        )
        assert len(inks) == 4 and all(contrast(ink, ground) >= 2.1 for ink in inks), (scheme, inks)
    light, dark, printed = map(luminance, grounds)
    assert light == printed == 1 and dark < 0.05


def test_claims_come_first_and_say_their_verdict(page):
    assert page.locator("h2").first.text_content() == "Claims"
    verdicts = page.locator("#claims tbody td:first-child").all_text_contents()
    assert verdicts == ["reproduced", "contradicted", "undecided"]
    assert (
        page.locator("#claims p")
        .first.inner_text()
        .startswith("1 reproduced, 1 contradicted, 1 undecided.")
    )
    assert (
        "+sweeps=synthetic study.size=30m" in page.locator("#claims td.code").first.text_content()
    )
    place = page.locator("#claims tbody a").first.get_attribute("href")
    assert page.locator(f"{place} h2").text_content() == "synthetic", (
        "a claim leads to its study's figures"
    )


def test_tables_sort_by_value_both_ways_with_unknown_values_last(page):
    table = page.locator("table", has=page.locator("th", has_text="largest n")).first
    head = table.locator("th", has_text="n*").first
    place = table.locator("th").all_text_contents().index("n*") + 1
    for way in ("ascending", "descending"):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == way
        keys = [
            float(cell.get_attribute("data-sort"))
            for cell in table.locator(f"tbody td:nth-child({place})").all()
        ]
        assert keys == sorted(keys, reverse=way == "descending") and keys[0] != keys[-1]
    order = page.evaluate("""['', 'b10', '3', 'Infinity', 'b9', '-2'].sort(compare)""")
    assert order == ["-2", "3", "Infinity", "b9", "b10", ""]


def test_hover_shows_the_value_and_its_interval(page, out):
    chart = page.locator("#chart-synthetic-nstar-quadratic-densenet-L3")
    marker = (
        chart.locator(".plots .column")
        .last.locator(".panel")
        .first.locator(".marker:not(.open)")
        .first
    )
    marker.scroll_into_view_if_needed()
    box = marker.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = chart.locator(".tip")
    assert tip.is_visible()
    name, x, y = tip.locator("> *").all_text_contents()
    drawn = pd.read_csv(out / "out" / "figures" / "synthetic-nstar-quadratic-densenet-L3.csv")
    (row,) = drawn[
        (drawn["series"] == name.partition(": ")[0])
        & drawn["panel"].str.contains("0.01, n*", regex=False)
        & (drawn["form"] == "points")
        & (drawn["d"] == float(x.rpartition(" ")[2]))
    ].to_dict("records")
    shown = [
        float(part.replace(",", "")) for part in re.findall(r"[\d.,]*\d", y.partition(": ")[2])
    ]
    assert shown == pytest.approx([row["y"], row["lo"], row["hi"]], rel=1e-3)
    page.mouse.move(1, 1)
    assert tip.is_hidden()


def test_dragging_zooms_and_a_double_click_goes_back(page):
    chart = page.locator("#chart-synthetic-risk-quadratic-densenet-L3")

    def ticks():
        return chart.locator(".panel text").all_text_contents()

    before, catch = ticks(), chart.locator(".catch").first
    catch.scroll_into_view_if_needed()
    box, reset = catch.bounding_box(), chart.locator("xpath=..").locator("button.reset")
    assert reset.is_disabled()

    def drag():
        page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=4)
        page.mouse.up()

    drag()
    assert ticks() != before and reset.is_enabled() and chart.locator(".frame").count() == 0
    page.mouse.dblclick(box["x"] + 9, box["y"] + 9)
    assert ticks() == before and reset.is_disabled()
    drag()
    reset.click()
    assert ticks() == before


def test_a_click_on_the_legend_hides_a_line_with_its_band_and_rings(page):
    chart = page.locator("#chart-synthetic-risk-quadratic-densenet-L3")

    def count():
        return [chart.locator(f".{kind}").count() for kind in ("band", "line", "marker")]

    before = count()
    button = chart.locator(".legend button").first
    button.click()
    after = count()
    assert (
        all(now < then for now, then in zip(after, before, strict=True))
        and button.get_attribute("aria-pressed") == "false"
    )
    button.click()
    assert count() == before


def test_a_figures_data_downloads_as_csv_equal_to_the_file_beside_it(page, out):
    for figure in page.locator("figure").all():
        with page.expect_download() as started:
            figure.locator("button.csv").click()
        saved = list(csv.DictReader(io.StringIO(started.value.path().read_text())))
        name = figure.get_attribute("id")
        beside = pd.read_csv(
            out / "out" / "figures" / f"{name}.csv", keep_default_na=False, dtype=str
        ).to_dict("records")
        assert (
            started.value.suggested_filename == f"chart-{name}.csv"
            and len(saved) == len(beside) > 3
        )
        for mine, theirs in zip(saved, beside, strict=True):
            assert (mine["panel"], mine["series"]) == (theirs["panel"], theirs["series"])
            assert float(mine["y"] or "nan") == pytest.approx(
                float(theirs["y"] or "nan"), rel=1e-5, nan_ok=True
            )


def test_a_table_downloads_as_csv(page):
    with page.expect_download() as started:
        page.locator("#claims button.save").click()
    rows = list(csv.reader(io.StringIO(started.value.path().read_text())))
    assert (
        rows[0][:3] == ["verdict", "claim", "predicted"]
        and len(rows) == 4
        and rows[2][0] == "contradicted"
    )


def test_tuning_cost_and_an_inexact_variance_are_said(page):
    section = page.locator("section", has=page.locator("h2", has_text="synthetic"))
    text = section.inner_text()
    assert "What tuning tried" in text and "lr 0.003: 0.02; lr 0.01: 0.004" in text
    assert "known by quadrature to 0.4 %" in text
    cost = section.locator("table", has=page.locator("th", has_text="seconds of tuning")).first
    rows = {
        row.locator("td").first.text_content(): row.locator("td").all_text_contents()
        for row in cost.locator("tbody tr").all()
    }
    assert rows["staged quadratic_densenet"][-1] == "7"
    kernel = rows["polynomial kernel (degree 4)"]
    assert kernel[1:4] == ["3", "12", "6"], (
        "12 curves of half a second each, however many points they have"
    )


def test_it_prints_on_paper_without_tools(page):
    page.emulate_media(media="print")
    assert (
        not page.locator(".tools").first.is_visible()
        and not page.locator("button.save").first.is_visible()
    )
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_sort_key_is_a_number_a_text_or_nothing():
    cells = [
        TableCell("", value).key
        for value in (3, 2.5, np.inf, -np.inf, np.nan, "text", np.float64("nan"))
    ]
    assert cells == ["3", "2.5", "Infinity", "-Infinity", "", "text", ""]
    assert make_page_table([{"a": 1, "b": 2}, {"a": 1, "b": 3}], fold=("a",)).constant == "a: 1"
