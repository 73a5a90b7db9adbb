"""The report page in a real browser, on the synthetic store of ``test_analysis``.

No error, no request; figures drawn with the values of their CSV; tables that sort; zoom and hover;
light, dark and print.
"""

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
from commands import MAX_SECONDS
from synthetic import write_cell, write_sweep

from analysis.page import TableCell, make_page_table
from analysis.report import write_report

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (extra: test)"
)
CLAIM = {"paper": "a paper", "statement": "staged needs few labels", "predicate": "exponent"}
STAGED = {"method": "staged quadratic_densenet", "eps": 0.01}
CLAIMS = {
    "synthetic": [
        {**CLAIM, "thresholds": {**STAGED, "at_most": 3}},
        {**CLAIM, "thresholds": {**STAGED, "at_least": 3}},
        {**CLAIM, "thresholds": {**STAGED, "at_most": 0.44}},
        {**CLAIM, "thresholds": {**STAGED, "method": "nobody", "at_least": 3}},
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
    shutil.copy(made.page, root / "copy.html")
    return root


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        driver = started.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox"], timeout=1000 * MAX_SECONDS
        )
        yield driver
        driver.close()


@pytest.fixture
def page(browser, out, request):
    """A copy of the page, open, without the files that were written with it.

    The test fails if the page logs anything, raises an error or requests another file.
    """
    options = getattr(request, "param", {})
    context = browser.new_context(
        **{"viewport": {"width": 1280, "height": 800}, "accept_downloads": True, **options}
    )
    context.set_default_timeout(1000 * MAX_SECONDS)
    opened = context.new_page()
    messages, requests = [], set()
    opened.on("console", lambda message: messages.append(message.text))
    opened.on("pageerror", lambda error: messages.append(str(error)))
    opened.on("request", lambda request: requests.add(request.url))
    address = (out / "copy.html").as_uri()
    opened.goto(address)
    yield opened
    assert messages == [] and requests == {address}
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
        columns = len(spec["columns"])
        assert chart.locator(".plots .column").count() == columns
        assert chart.locator(".plots .column > div > svg").count() == columns
        assert chart.locator(".panel").count() == sum(map(len, spec["columns"]))
        assert chart.locator(".marker").count() > 3
        assert "NaN" not in chart.inner_html().split("</script>", 1)[1]
    boxes = page.evaluate(PANEL_BOXES)
    assert all(box["width"] > 100 and box["height"] > 60 for box in boxes)
    fits = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert fits, "the page itself must not scroll sideways"


PANEL_BOXES = """
[...document.querySelectorAll('.panel')].map(panel => {
  const {width, height} = panel.getBBox()
  return {width, height}
})
"""
MARKER_COLOURS = """
[...new Set(
  [...document.querySelectorAll('.marker:not(.open)')].map(marker => getComputedStyle(marker).fill)
)]
"""


def test_dark_and_light_and_print_differ_and_text_is_legible_in_each(page):
    """Contrast against the page: at least 4.5 for text (WCAG AA), 2.1 for the colours of lines."""
    grounds = []
    for scheme, media in (("light", "screen"), ("dark", "screen"), ("dark", "print")):
        page.emulate_media(media=media, color_scheme=scheme)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        grounds.append(ground)
        words = (".reproduced", ".contradicted", ".undecided", ".not-run")
        for selector in ("body", ".soft", *words, "a"):
            colour = page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).color")
            assert contrast(colour, ground) >= 4.5, (scheme, media, selector)
        colours = page.evaluate(MARKER_COLOURS)
        assert len(colours) == 4, (scheme, colours)
        assert min(contrast(colour, ground) for colour in colours) >= 2.1, (scheme, colours)
    light, dark, printed = map(luminance, grounds)
    assert light == printed == 1 and dark < 0.05


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2) of a colour such as ``rgb(255, 255, 255)``."""
    numbers = colour[colour.index("(") + 1 : -1].split(",")[:3]
    rgb = np.array([float(number) for number in numbers]) / 255
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_claims_come_first_and_say_their_verdict(page):
    assert page.locator("h2").first.text_content() == "Claims"
    verdicts = page.locator("#claims tbody td:first-child").all_text_contents()
    assert verdicts == ["reproduced", "contradicted", "undecided", "not run"]
    summary = page.locator("#claims p").first.inner_text()
    assert summary.startswith("1 reproduced, 1 contradicted, 1 undecided, 1 not run.")
    command = page.locator("#claims td.code").first.text_content()
    assert "+sweeps=synthetic study.size=30m" in command
    section = page.locator("#claims tbody a").first.get_attribute("href")
    heading = page.locator(f"{section} h2").text_content()
    assert heading == "synthetic", "a claim leads to its study's figures"


def test_tables_sort_by_value_both_ways_with_unknown_values_last(page):
    table = page.locator("table", has=page.locator("th", has_text="largest n")).first
    head = table.locator("th", has_text="n*").first
    column = table.locator("th").all_text_contents().index("n*") + 1
    for direction in ("ascending", "descending"):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == direction
        cells = table.locator(f"tbody td:nth-child({column})").all()
        keys = [float(cell.get_attribute("data-sort")) for cell in cells]
        assert keys == sorted(keys, reverse=direction == "descending") and keys[0] != keys[-1]
    order = page.evaluate("""['', 'b10', '3', 'Infinity', 'b9', '-2'].sort(compare)""")
    assert order == ["-2", "3", "Infinity", "b9", "b10", ""]


def test_hover_shows_the_value_and_its_interval(page, out):
    chart = page.locator("#chart-synthetic-nstar-quadratic-densenet-L3")
    panel = chart.locator(".plots .column").last.locator(".panel").first
    marker = panel.locator(".marker:not(.open)").first
    marker.scroll_into_view_if_needed()
    box = marker.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = chart.locator(".tip")
    assert tip.is_visible()
    name, x, y = tip.locator("> *").all_text_contents()
    drawn = pd.read_csv(out / "out" / "figures" / "synthetic-nstar-quadratic-densenet-L3.csv")
    points = drawn[drawn["form"] == "points"]
    points = points[points["series"] == name.partition(": ")[0]]
    points = points[points["panel"].str.contains("0.01, n*", regex=False)]
    (row,) = points[points["d"] == float(x.rpartition(" ")[2])].to_dict("records")
    numbers = re.findall(r"[\d.,]*\d", y.partition(": ")[2])
    shown = [float(number.replace(",", "")) for number in numbers]
    assert shown == pytest.approx([row["y"], row["lo"], row["hi"]], rel=1e-3)
    page.mouse.move(1, 1)
    assert tip.is_hidden()


def test_dragging_zooms_and_a_double_click_goes_back(page):
    chart = page.locator("#chart-synthetic-risk-quadratic-densenet-L3")

    def ticks():
        return chart.locator(".panel text").all_text_contents()

    before = ticks()
    area = chart.locator(".catch").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    reset = chart.locator("xpath=..").locator("button.reset")
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
    assert all(now < then for now, then in zip(after, before, strict=True))
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert count() == before


def test_a_figures_data_downloads_as_csv_equal_to_the_file_beside_it(page, out):
    for figure in page.locator("figure").all():
        with page.expect_download() as download:
            figure.locator("button.csv").click()
        name = figure.get_attribute("id")
        assert download.value.suggested_filename == f"chart-{name}.csv"
        saved = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
        path = out / "out" / "figures" / f"{name}.csv"
        stored = pd.read_csv(path, keep_default_na=False, dtype=str).to_dict("records")
        assert len(saved) == len(stored) > 3
        for row, expected in zip(saved, stored, strict=True):
            assert (row["panel"], row["series"]) == (expected["panel"], expected["series"])
            y, expected_y = (float(values["y"] or "nan") for values in (row, expected))
            assert y == pytest.approx(expected_y, rel=1e-5, nan_ok=True)


def test_a_table_downloads_as_csv(page):
    with page.expect_download() as download:
        page.locator("#claims button.save").click()
    rows = list(csv.reader(io.StringIO(download.value.path().read_text())))
    assert rows[0][:3] == ["verdict", "claim", "predicted"]
    assert len(rows) == 5 and rows[2][0] == "contradicted"


def test_tuning_cost_and_an_inexact_variance_are_shown(page):
    section = page.locator("section", has=page.locator("h2", has_text="synthetic"))
    text = section.inner_text()
    assert "What tuning tried" in text and "lr 0.003: 0.02; lr 0.01: 0.004" in text
    assert "known by quadrature to 0.4 %" in text
    cost = section.locator("table", has=page.locator("th", has_text="seconds of tuning")).first
    rows = {}
    for row in cost.locator("tbody tr").all():
        method, *values = row.locator("td").all_text_contents()
        rows[method] = values
    assert rows["staged quadratic_densenet"][-1] == "7"
    kernel = rows["polynomial kernel (degree 4)"]
    assert kernel[:3] == ["3", "12", "6"], "12 curves of .5 s each, whatever their points"


def test_it_prints_on_paper_without_tools(page):
    page.emulate_media(media="print")
    assert not page.locator(".tools").first.is_visible()
    assert not page.locator("button.save").first.is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_sort_key_is_a_number_a_text_or_nothing():
    values = (3, 2.5, np.inf, -np.inf, np.nan, "text", np.float64("nan"))
    keys = [TableCell("", value).key for value in values]
    assert keys == ["3", "2.5", "Infinity", "-Infinity", "", "text", ""]
    assert make_page_table([{"a": 1, "b": 2}, {"a": 1, "b": 3}], fold=("a",)).constant == "a: 1"
