"""The tables of the report page in a real browser, and the page on paper."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from analysis.display_table import TableCell, make_page_table

pytest_plugins = ("page_scene",)
pytestmark = pytest.mark.xdist_group("page")


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


@pytest.mark.parametrize("page", [{"viewport": {"width": 1300, "height": 800}}], indirect=True)
def test_the_warnings_on_growth_are_not_cut(page):
    table = page.locator(".study .table", has=page.locator("button[data-name^=growth-]")).first
    assert "warnings" in table.locator("th").all_text_contents()
    widths = table.locator(".scroll").evaluate("box => [box.scrollWidth, box.clientWidth]")
    assert widths[0] <= widths[1]
    page.set_viewport_size({"width": 500, "height": 800})
    widths = table.locator(".scroll").evaluate("box => [box.scrollWidth, box.clientWidth]")
    assert widths[0] > widths[1], "on a phone it scrolls"


def test_a_table_sorts_by_keyboard(page):
    page.evaluate("document.querySelectorAll('details.more').forEach(box => box.open = true)")
    head = page.locator("table th", has_text="largest n").first
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"


READ_CELLS = """
box => [...box.querySelector('table').rows].map(
  row => [...row.cells].map(cell => cell.textContent.trim())
)
"""


def test_a_table_downloads_as_the_csv_of_what_it_shows(page):
    page.evaluate("document.querySelectorAll('details.more').forEach(box => box.open = true)")
    section = page.locator("section.study", has=page.locator("h2", has_text="synthetic"))
    saved = []
    for table in section.locator(".table", has=page.locator("button.save")).all():
        with page.expect_download() as download:
            table.locator("button.save").click()
        name = table.locator("button.save").get_attribute("data-name")
        assert download.value.suggested_filename == f"{name}.csv"
        rows = list(csv.reader(io.StringIO(download.value.path().read_text())))
        assert rows == table.evaluate(READ_CELLS) and len(rows) > 1
        saved += rows
    assert any("," in text for row in saved for text in row), "a comma in a cell splits none"


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


def test_it_prints_on_paper_without_tools(page):
    page.locator("#claim-1 > summary").click()
    page.locator("#claim-1 .trainings tr").first.wait_for()
    tools = (".tools", ".filters", ".help", "button.copy", "#claim-1 .trainings", "button.save")
    assert all(page.locator(tool).first.is_visible() for tool in tools)
    page.emulate_media(media="print")
    assert [tool for tool in tools if page.locator(f"{tool}:visible").count()] == []
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_it_prints_the_details_of_the_claims_that_are_shown(page):
    """And the figure of those that are open, as high as it was drawn whatever the paper's width."""
    page.locator(".chip.undecided").click()
    page.locator(".chip.reproduced").click()
    page.locator("#claim-1 > summary").click()
    plot = page.locator("#claim-1 .plot").first
    plot.locator(".main-svg").first.wait_for()
    page.locator("#claim-3 > summary").click()
    page.locator("#claim-3 .chart .main-svg").first.wait_for()
    page.locator("#claim-3 > summary").click()
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
