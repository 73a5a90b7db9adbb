"""The report page in a real browser, on a synthetic store.

No error, no request; cards, board, search, filters, claims that unfold, figures with the values of
their CSV, tables that sort; light, dark, narrow and print.
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

from analysis.display_table import TableCell, make_page_table
from analysis.report import write_report

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (extra: test)"
)
CLAIM = {"paper": "a paper", "statement": "staged needs few labels", "predicate": "exponent"}
STAGED = {"method": "staged quadratic_densenet", "eps": 0.01}
CLAIMS = {
    "synthetic": [
        {**CLAIM, "thresholds": {**STAGED, "at_most": 3}, "headline": True},
        {**CLAIM, "statement": "the reverse", "thresholds": {**STAGED, "at_least": 3}},
        {**CLAIM, "statement": "a close call", "thresholds": {**STAGED, "at_most": 0.44}},
        {**CLAIM, "thresholds": {**STAGED, "method": "nobody", "at_least": 3}, "paper": "other"},
    ]
}
CHART = "figure .chart[data-chart='synthetic-nstar-quadratic-densenet-L3']"
RISK = "figure .chart[data-chart='synthetic-risk-quadratic-densenet-L3']"


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
    """A copy of the page, open and ready, without the files that were written with it.

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
    opened.wait_for_selector("html[data-ready=yes]")
    yield opened
    files = {url for url in requests if not url.startswith(("data:", "blob:"))}
    assert messages == [] and {url.partition("#")[0] for url in files} == {address}
    context.close()


def draw(page, selector):
    """The chart, drawn, in the middle of the window."""
    chart = page.locator(selector)
    for _ in range(2):  # what is drawn on the way moves what follows
        chart.evaluate("box => box.scrollIntoView({block: 'center'})")
        chart.locator(".main-svg").first.wait_for()
    return chart


@pytest.mark.parametrize(
    "page",
    [{}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 800}}],
    indirect=True,
    ids=["light", "dark", "narrow"],
)
def test_every_figure_is_drawn_when_it_comes_into_view(page):
    figures = page.locator("figure .chart")
    assert figures.count() == 5
    for chart in figures.all():
        chart.scroll_into_view_if_needed()
        chart.locator(".main-svg").first.wait_for()
        figure = page.evaluate("name => page.charts[name]", chart.get_attribute("data-chart"))
        assert chart.locator(".plots .column").count() == len(figure["figures"])
        assert chart.locator("path.point").count() > 3
    fits = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert fits, "the page itself must not scroll sideways"


def test_dark_and_light_and_print_differ_and_text_is_legible_in_each(page):
    """Contrast against the page: at least 4.5 for text (WCAG AA), 2.1 for the colours of lines."""
    draw(page, CHART)
    grounds = []
    for scheme, media in (("light", "screen"), ("dark", "screen"), ("dark", "print")):
        page.emulate_media(media=media, color_scheme=scheme)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        grounds.append(ground)
        words = ("reproduced", "contradicted", "undecided", "not-run")
        for selector in ("body", ".soft", *(f".totals .{word}" for word in words), "p.soft a"):
            colour = page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).color")
            assert contrast(colour, ground) >= 4.5, (scheme, media, selector)
        colours = page.evaluate(MARKER_COLOURS, CHART)
        assert len(colours) == 4, (scheme, colours)
        assert min(contrast(colour, ground) for colour in colours) >= 2.1, (scheme, colours)
    light, dark, printed = map(luminance, grounds)
    assert light == printed == 1 and dark < 0.05


MARKER_COLOURS = """
selector => [...new Set(views.get(document.querySelector(selector)).plots
  .flatMap(plot => plot.data).filter(trace => trace.mode === "markers")
  .map(trace => trace.marker.color))]
"""


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2) of a colour such as ``rgb(255, 255, 255)`` or ``#ffffff``."""
    if colour.startswith("#"):
        rgb = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    else:
        numbers = colour[colour.index("(") + 1 : -1].split(",")[:3]
        rgb = np.array([float(number) for number in numbers]) / 255
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_the_page_opens_with_cards_and_the_board(page):
    cards = page.locator(".card")
    assert cards.locator("h2").all_text_contents() == ["a paper", "other"]
    assert "2 of 3 claims decided" in cards.first.inner_text().replace("\n", " ")
    headline = cards.first.locator(".headline")
    assert "staged needs few labels" in headline.inner_text()
    verdicts = page.locator(".claim summary .verdict").all_text_contents()
    assert verdicts == ["reproduced", "contradicted", "undecided", "not run"]
    totals = page.locator(".totals").inner_text()
    assert totals.startswith("1 reproduced, 1 contradicted, 1 undecided, 1 not run.")
    assert page.locator(".claim .forest .estimate").count() == 3
    box = page.locator("#claims h2").bounding_box()
    assert box["y"] < 800, "the board begins on the first screen"


def test_an_interval_lies_on_the_side_that_its_verdict_says(page):
    """At most 3, at least 3, at most .44, with larger numbers to the right of each threshold."""
    sides = {}
    for claim in page.locator(".claim").all():
        judged = claim.locator(".forest .judged")
        if judged.count():
            start, end = judged.get_attribute("d")[1:].split(" 11H")
            demand = claim.locator(".forest text").text_content()
            verdict = claim.get_attribute("data-verdict")
            sides[verdict, demand] = (float(start) > 100, float(end) > 100)
    assert sides == {
        ("reproduced", "≤ 3"): (False, False),
        ("contradicted", "≥ 3"): (False, False),
        ("undecided", "≤ 0.44"): (False, True),
    }


def test_a_square_leads_to_its_claim_with_figure_trainings_and_command(page):
    page.locator(".square").first.click()
    claim = page.locator("#claim-1[open]")
    claim.wait_for()
    view = claim.locator(".view")
    view.locator(".chart .main-svg").first.wait_for()
    assert "+sweeps=synthetic study.size=30m" in view.inner_text()
    opacities = page.evaluate(
        "() => views.get(document.querySelector('#claim-1 .chart')).plots[0].data"
        ".map(trace => [trace.meta, trace.opacity])"
    )
    faded = {name for name, opacity in opacities if opacity < 0.2}
    assert faded and not any(name.startswith("staged") for name in faded)
    rows = view.locator(".trainings tbody tr")
    assert rows.count() == 200
    with page.expect_download() as download:
        view.locator(".trainings button.save").click()
    saved = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert len(saved) > 200 and {row["line"] for row in saved} == {"staged quadratic_densenet"}
    section = view.locator("dd a").first.get_attribute("href")
    assert page.locator(f"{section} h2").text_content() == "synthetic"


def read_verdicts(page):
    """The verdicts of the claims that are shown."""
    return page.locator(".claim:visible > summary .verdict").all_text_contents()


def wait_for_claims(page, count):
    page.wait_for_function(
        "count => document.querySelectorAll('.claim:not([hidden])').length === count", arg=count
    )


def test_a_verdict_that_is_clicked_is_shown_alone_and_all_shows_all(page):
    page.locator(".chip.undecided").click()
    assert read_verdicts(page) == ["undecided"]
    assert page.locator(".chip[aria-pressed=true]").all_text_contents() == ["undecided"]
    page.locator(".chip.contradicted").click()
    assert read_verdicts(page) == ["contradicted", "undecided"]
    page.locator(".chip.undecided").click()
    assert read_verdicts(page) == ["contradicted"]
    page.locator(".chip", has_text="all").click()
    assert len(read_verdicts(page)) == 4
    page.locator(".chip.undecided").click()
    page.locator(".chip.undecided").click()
    assert len(read_verdicts(page)) == 4, "none chosen is all"
    assert page.locator(".chip[aria-pressed=true]").all_text_contents() == ["all"]


def test_a_count_on_a_card_leads_to_the_claims_that_it_counts(page):
    page.locator("#search").fill("nothing has this text")
    wait_for_claims(page, 0)
    page.locator(".card a.count.contradicted").click()
    assert read_verdicts(page) == ["contradicted"]
    assert page.locator("#filter-paper").input_value() == "a paper"
    page.locator(".card a.count.not-run").click()
    assert read_verdicts(page) == ["not run"]
    assert page.locator("#filter-paper").input_value() == "other"


def test_search_and_filters_show_what_fits_and_clear_shows_all(page):
    shown = page.locator(".claim:visible")
    page.locator("#search").fill("close")
    wait_for_claims(page, 1)
    assert shown.count() == 1 and "1 of 4" in page.locator("#matches").inner_text()
    page.locator("#clear").click()
    assert shown.count() == 4
    page.locator("#filter-paper").select_option("other")
    assert shown.count() == 1 and page.locator("section.paper:visible").count() == 1
    page.locator("#clear").click()
    page.locator("#filter-method").select_option("nobody")
    assert shown.count() == 1
    page.locator("#clear").click()
    page.locator("#fold").click()
    assert shown.count() == 0
    page.locator(".square").last.click()
    page.locator("#claim-4 .view").wait_for()  # a link opens a folded claim


def test_a_word_that_is_typed_filters_once(page):
    page.evaluate(
        "() => { window.passes = 0; const old = makeTest;"
        " makeTest = () => { window.passes += 1; return old(); }; }"
    )
    page.locator("#search").press_sequentially("close", delay=5)
    wait_for_claims(page, 1)
    assert page.evaluate("window.passes") == 1


@pytest.mark.parametrize(
    "page",
    [{}, {"viewport": {"width": 400, "height": 800}}],
    indirect=True,
    ids=["usual", "narrow"],
)
def test_contents_lead_to_studies_by_keyboard(page):
    contents = page.locator("nav.contents")
    link = contents.locator("a", has_text="synthetic").first
    assert not link.is_visible()
    contents.locator("summary").focus()
    page.keyboard.press("Enter")
    assert contents.locator("h2").all_text_contents() == ["a paper", "other", "Other studies"]
    link.focus()
    page.keyboard.press("Enter")
    assert not link.is_visible(), "it folds where it would hide the page"
    title = page.locator("section.study h2", has_text="synthetic")
    page.wait_for_function("scrollY > 500")
    assert 0 <= title.bounding_box()["y"] < 300
    summary = contents.locator("summary")
    summary.click()
    link.focus()
    page.keyboard.press("Escape")
    assert not link.is_visible()
    assert summary.evaluate("element => element === document.activeElement")


@pytest.mark.parametrize("page", [{"viewport": {"width": 1900, "height": 900}}], indirect=True)
def test_on_a_wide_screen_the_contents_stand_beside_the_page(page):
    contents = page.locator("nav.contents")
    assert contents.locator("a", has_text="synthetic").first.is_visible()
    box = contents.bounding_box()
    assert box["x"] + box["width"] < page.locator("main").bounding_box()["x"]
    page.emulate_media(media="print")
    assert not contents.is_visible()


@pytest.mark.parametrize(
    "page",
    [{"viewport": {"width": width, "height": 800}} for width in (400, 1300, 1900)],
    indirect=True,
    ids=["400", "1300", "1900"],
)
def test_no_text_of_the_board_is_cut_or_overlaps_what_stands_beside_it(page):
    page.evaluate("document.querySelectorAll('.claim').forEach(claim => { claim.open = true })")
    page.locator("#claim-1 .chart .legend").first.wait_for()
    cut = page.evaluate(
        "() => [...document.querySelectorAll('.claim > summary > span, .legend, .card p')]"
        ".filter(box => box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).display"
        " !== 'inline' || box.scrollHeight > box.clientHeight + 2).map(box => box.className)"
    )
    assert cut == []
    over = page.evaluate(
        "() => [...document.querySelectorAll('.claim > summary > *')].filter(box =>"
        " box.getBoundingClientRect().right > box.parentNode.getBoundingClientRect().right + 1)"
        ".map(box => box.className)"
    )
    assert over == []


def test_the_board_is_usable_by_keyboard(page):
    page.locator("#claim-2 > summary").focus()
    page.keyboard.press("Enter")
    page.locator("#claim-2 .view").wait_for()


def test_tables_sort_by_value_both_ways_with_unknown_values_last(page):
    page.evaluate("document.querySelectorAll('details.more').forEach(box => box.open = true)")
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


FIND_STAGED = """
traces => traces.findIndex(
  trace => trace.__data__[0].trace.meta === 'staged quadratic_densenet'
    && trace.__data__[0].trace.mode === 'markers'
)
"""


def test_what_hover_shows_is_what_the_csv_holds(page, out):
    chart = draw(page, CHART)
    plot = chart.locator(".plot").last
    marker = plot.locator(".trace").nth(plot.locator(".trace").evaluate_all(FIND_STAGED))
    marker = marker.locator("path.point").first
    box = marker.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = plot.locator(".hoverlayer text").first
    label.wait_for()
    name, x, y = label.locator("tspan").all_text_contents()[:3]
    drawn = pd.read_csv(out / "out" / "figures" / "synthetic-nstar-quadratic-densenet-L3.csv")
    points = drawn[(drawn["form"] == "points") & (drawn["series"] == name)]
    points = points[points["panel"].str.contains("0.01, n*", regex=False)]
    (row,) = points[points["d"] == float(x.rpartition(" ")[2])].to_dict("records")
    numbers = re.findall(r"[\d.,]*\d", y.partition(": ")[2])
    shown = [float(number.replace(",", "")) for number in numbers]
    assert shown == pytest.approx([row["y"], row["lo"], row["hi"]], rel=2e-3)


def test_dragging_zooms_and_a_double_click_goes_back(page):
    chart = draw(page, RISK)

    before = page.evaluate(f"selector => {LIMITS}", RISK)
    area = chart.locator(".nsewdrag").first
    box = area.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=6)
    page.mouse.up()
    page.wait_for_function(f"([selector, before]) => {LIMITS} !== before", arg=[RISK, before])
    area.dblclick()
    page.wait_for_function(f"([selector, before]) => {LIMITS} === before", arg=[RISK, before])


LIMITS = "String(views.get(document.querySelector(selector)).plots[0].layout.xaxis.range)"


def test_a_click_on_the_legend_hides_a_line_with_all_that_belongs_to_it(page):
    chart = draw(page, RISK)

    def count():
        return page.evaluate(
            "selector => views.get(document.querySelector(selector)).plots[0].data"
            ".filter(trace => trace.visible).length",
            RISK,
        )

    before = count()
    button = chart.locator(".legend button").first
    button.click()
    assert count() < before - 1, "a curve goes with its band"
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert count() == before


def test_a_figures_data_downloads_as_the_csv_beside_it(page, out):
    for figure in page.locator("figure").all():
        with page.expect_download() as download:
            figure.locator("button.csv").click()
        name = figure.get_attribute("id")
        assert download.value.suggested_filename == f"{name}.csv"
        path = out / "out" / "figures" / f"{name}.csv"
        assert download.value.path().read_text() == path.read_text()


@pytest.mark.parametrize("page", [{"viewport": {"width": 1300, "height": 800}}], indirect=True)
def test_the_warnings_on_growth_are_not_cut(page):
    table = page.locator(".study .table", has=page.locator("button[data-name^=growth-]")).first
    assert "warnings" in table.locator("th").all_text_contents()
    widths = table.locator(".scroll").evaluate("box => [box.scrollWidth, box.clientWidth]")
    assert widths[0] <= widths[1]
    page.set_viewport_size({"width": 500, "height": 800})
    widths = table.locator(".scroll").evaluate("box => [box.scrollWidth, box.clientWidth]")
    assert widths[0] > widths[1], "on a phone it scrolls"


def test_a_table_downloads_as_csv(page):
    table = page.locator(".study .table", has=page.locator("button[data-name^=growth-]")).first
    with page.expect_download() as download:
        table.locator("button.save").click()
    rows = list(csv.reader(io.StringIO(download.value.path().read_text())))
    assert rows[0][0] == "method" and "exponent" in rows[0] and len(rows) > 2


def test_a_study_answers_with_numbers_from_the_store(page):
    section = page.locator("section.study", has=page.locator("h2", has_text="synthetic"))
    answer = section.locator(".answer").inner_text()
    assert "n* grows as d^" in answer and "Of its 4 claims: 1 reproduced" in answer


def test_tuning_cost_and_an_inexact_variance_are_shown(page):
    page.evaluate("document.querySelectorAll('details.more').forEach(box => box.open = true)")
    section = page.locator("section.study", has=page.locator("h2", has_text="synthetic"))
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
    assert not page.locator(".filters").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_it_prints_the_details_of_the_claims_that_are_shown(page):
    """And the figure of those that are open, as high as it was drawn whatever the paper's width."""
    page.locator(".chip.undecided").click()
    page.locator(".chip.reproduced").click()
    page.locator("#claim-1 > summary").click()
    plot = page.locator("#claim-1 .plot").first
    plot.locator(".main-svg").first.wait_for()
    height = plot.bounding_box()["height"]
    assert not page.locator("#claim-3 dl").is_visible()
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 1000})
    shown = [page.locator(f"#claim-{number} dl").is_visible() for number in range(1, 5)]
    assert shown == [True, False, True, False]
    assert not page.locator("#claim-3 .chart").is_visible()
    page.wait_for_function(
        "views.get(document.querySelector('#claim-1 .chart')).plots[0]._fullLayout.width < 700"
    )
    assert plot.bounding_box()["height"] == plot.locator(".svg-container").bounding_box()["height"]
    assert plot.bounding_box()["height"] == height > 300


def test_the_tables_are_inside_of_the_page(page, out):
    for link in page.locator("header a.file").all():
        with page.expect_download() as download:
            link.click()
        name = link.inner_text()
        assert download.value.suggested_filename == name
        assert download.value.path().read_bytes() == (out / "out" / name).read_bytes()


def test_the_page_names_no_folder_of_this_machine(out):
    assert str(out) not in (out / "copy.html").read_text()


def test_a_sort_key_is_a_number_a_text_or_nothing():
    values = (3, 2.5, np.inf, -np.inf, np.nan, "text", np.float64("nan"))
    long = make_page_table([{"a": ("none, since nothing bounds this", 1.0)}])
    assert long.numbers == long.wide == {"a"}, "a number that may be a sentence has room"
    keys = [TableCell("", value).key for value in values]
    assert keys == ["3", "2.5", "Infinity", "-Infinity", "", "text", ""]
    assert make_page_table([{"a": 1, "b": 2}, {"a": 1, "b": 3}], fold=("a",)).constant == "a: 1"
