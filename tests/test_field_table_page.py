"""The page of the table in a real browser: sorting, filters, an entry's figure, narrow screens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser import chromium
from commands import MAX_SECONDS
from table_scenes import make_table

from analysis.field_table.page import render_table

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (extra: test)"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("table") / "index.html"
    path.write_text(render_table(make_table()), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as started:
        driver = started.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox"], timeout=1000 * MAX_SECONDS
        )
        yield driver
        driver.close()


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


def test_search_and_methods_that_know_more(page) -> None:
    page.locator("#search").fill("second")
    assert page.locator("table.matrix tbody tr:visible").count() == 1
    assert page.locator("#matches").inner_text() == "1 of 2 targets"
    page.locator("#search").fill("")
    assert page.locator("table.matrix thead th:visible").count() == 5
    page.locator("#plain").check()
    assert page.locator("table.matrix thead th:visible").count() == 4


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
