"""The page of the table in a real browser: sorting, filters, an entry's figure, narrow screens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from commands import MAX_SECONDS
from table_scenes import make_table

from analysis.field_table.page import render_table

pytest_plugins = ("browser",)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("table") / "index.html"
    path.write_text(render_table(make_table()), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser, address: str) -> Iterator[object]:
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(1000 * MAX_SECONDS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]")
    yield page
    page.close()
    assert not errors


def test_every_entry_is_there_and_says_its_sentence(page) -> None:
    entries = page.locator("button.entry")
    assert entries.count() == 8
    titles = [entry.get_attribute("title") for entry in entries.all()]
    assert all(title and title.endswith(".") for title in titles)
    assert "<this>" in next(title for title in titles if "cannot run" in title)


def test_a_click_opens_the_figure_with_the_line_and_the_trainings(page) -> None:
    page.locator('button.entry[data-key="first/slow"]').click()
    panel = page.locator("#entry")
    panel.locator(".chart .js-plotly-plot").wait_for()
    assert "slow method on first target" in panel.locator(".whole").inner_text().lower()
    opacities = page.evaluate(
        "() => Object.fromEntries(document.querySelector('#entry .js-plotly-plot').data"
        ".map(trace => [trace.meta, trace.opacity]))"
    )
    assert opacities["slow method"] == 1 and opacities["fast method"] < 0.5
    assert panel.locator(".trainings tbody tr").count() == 200
    with page.expect_download() as download:
        panel.locator("button.save").click()
    assert download.value.suggested_filename == "trainings-first-slow.csv"
    page.locator('button.entry[data-key="second/slow"]').click()
    assert panel.locator(".chart").count() == 0 and panel.locator("tbody tr").count() == 0


def list_visible(page) -> list[str]:
    return page.evaluate(
        "() => [...document.querySelectorAll('button.entry')]"
        ".filter(button => button.checkVisibility({ visibilityProperty: true }))"
        ".map(button => button.dataset.key)"
    )


def test_search_finds_targets_and_methods(page) -> None:
    page.locator("#search").fill("second")
    assert page.locator("table.matrix tbody tr:visible").count() == 1
    assert page.locator("#matches").inner_text() == "4 of 8 entries"
    page.locator("#search").fill("second slow")
    assert list_visible(page) == ["second/slow"]
    assert page.locator("table.matrix thead th:visible").count() == 2
    page.locator("#search").fill("nothing like this")
    assert list_visible(page) == [] and page.locator("#matches").inner_text() == "0 of 8 entries"
    page.locator("#search").fill("")
    assert len(list_visible(page)) == 8 and page.locator("#matches").inner_text() == ""


def test_entries_are_filtered_by_status_theory_and_what_methods_know(page) -> None:
    page.locator("#plain").check()
    assert page.locator("table.matrix thead th:visible").count() == 4
    page.locator("#status").select_option("not run")
    assert list_visible(page) == ["second/stuck"]
    page.locator("#plain").uncheck()
    assert list_visible(page) == ["first/knowing", "second/stuck", "second/knowing"]
    page.locator("#status").select_option("")
    page.locator("#agreement").select_option("below theory")
    assert list_visible(page) == ["first/slow"]


def test_the_keyboard_reaches_every_entry_and_comes_back(page) -> None:
    page.locator("#search").focus()
    page.keyboard.type("slow")
    page.keyboard.press("Tab")
    page.keyboard.press("n")
    assert page.locator("#status").input_value() == "never"
    page.locator("#status").select_option("")
    page.locator('button.entry[data-key="first/slow"]').focus()
    page.keyboard.press("ArrowRight")  # nothing is shown there
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    panel = page.locator("#entry")
    assert "slow method on second target" in panel.locator(".whole").inner_text().lower()
    assert page.evaluate("document.activeElement.tagName") == "H2"
    page.keyboard.press("Escape")
    assert panel.is_hidden()
    assert page.evaluate("document.activeElement.dataset.key") == "second/slow"
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.key") == "first/slow"


def test_entries_show_features_and_why_they_are_empty(page) -> None:
    entry = page.locator('button.entry[data-key="first/slow"]')
    assert entry.locator(".feature").inner_text().startswith("level 2: ")
    text = page.locator('button.entry[data-key="second/stuck"]').inner_text()
    assert "not run" in text and "needs 60 s" in text
    assert "out of memory" in page.locator('button.entry[data-key="second/slow"]').inner_text()


def test_a_column_sorts_the_targets(page) -> None:
    head = page.locator("table.matrix thead th", has_text="fast method")
    head.locator("button").click()
    first = page.locator("table.matrix tbody tr").first
    assert "first target" in first.inner_text()
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"


def test_a_narrow_screen_does_not_scroll_sideways_as_a_whole(page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.pdf(format="A4").startswith(b"%PDF")
