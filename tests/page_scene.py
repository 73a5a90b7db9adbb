"""The report page of a synthetic store, open in a real browser, for the tests of the page.

A plugin of pytest, so that several files of tests share one page and one browser.
"""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
from commands import MAX_SECONDS
from synthetic import write_cell, write_sweep

from analysis.report import write_report

pytest_plugins = ("browser",)
CLAIM = {"paper": "a paper", "statement": "staged needs few labels", "predicate": "exponent"}
STAGED = {"method": "staged quadratic_densenet", "eps": 0.01}
CLAIMS = {
    "synthetic": [
        {**CLAIM, "thresholds": {**STAGED, "at_most": 3}, "headline": True},
        {**CLAIM, "statement": "Reverse of it", "thresholds": {**STAGED, "at_least": 3}},
        {**CLAIM, "statement": "a close call", "thresholds": {**STAGED, "at_most": 0.44}},
        {**CLAIM, "thresholds": {**STAGED, "method": "nobody", "at_least": 3}, "paper": "other"},
    ]
}
CHART = "figure .chart[data-chart='synthetic-nstar-quadratic-densenet-L3']"
RISK = "figure .chart[data-chart='synthetic-risk-quadratic-densenet-L3']"


@pytest.fixture(scope="session")
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


def read_verdicts(page):
    """The verdicts of the claims that are shown."""
    return page.locator(".claim:visible > summary .verdict").all_text_contents()


def wait_for_claims(page, count):
    page.wait_for_function(
        "count => document.querySelectorAll('.claim:not([hidden])').length === count", arg=count
    )
