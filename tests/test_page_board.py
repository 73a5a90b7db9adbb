"""The claims of the report page in a real browser: cards, board, search, filters, contents."""

from __future__ import annotations

import csv
import io

import pytest
from page_scene import read_verdicts, wait_for_claims

pytest_plugins = ("page_scene",)
pytestmark = pytest.mark.xdist_group("page")


def test_the_page_opens_with_cards_and_the_board(page):
    cards = page.locator(".card")
    assert cards.locator("h2").all_text_contents() == ["a paper", "other"]
    counts = cards.first.locator("a.count").all_text_contents()
    assert [" ".join(text.split()) for text in counts] == [
        "1 reproduced",
        "1 contradicted",
        "1 undecided",
    ]
    headline = cards.first.locator(".headline")
    assert "staged needs few labels" in headline.inner_text()
    assert "✓ reproduced" in " ".join(headline.locator(".verdict").inner_text().split())
    verdicts = page.locator(".claim summary .verdict").all_text_contents()
    assert verdicts == ["reproduced", "contradicted", "undecided", "not run"]
    totals = page.locator(".totals").inner_text()
    words = " ".join(totals.split())
    assert words.startswith("✓ 1 reproduced ✗ 1 contradicted ? 1 undecided – 1 not run")
    assert page.locator(".claim .forest .estimate").count() == 3


@pytest.mark.parametrize("page", [{"viewport": {"width": 1300, "height": 900}}], indirect=True)
def test_the_first_screen_holds_the_questions_the_totals_and_the_top_of_the_board(page):
    """With as many cards, of as many claims, as the studies of the repository make."""
    page.evaluate(
        "() => { const cards = document.querySelector('.cards'), card = cards.children[0];"
        " const squares = card.querySelector('.squares');"
        " for (let i = 0; i < 75; i++) squares.append(squares.children[0].cloneNode(true));"
        " for (let i = 0; i < 6; i++) cards.append(card.cloneNode(true)); }"
    )
    tops = {
        name: page.locator(name).first.bounding_box()
        for name in (".lead", ".totals", ".card", ".filters", ".claim > summary")
    }
    places = [box["y"] for box in tops.values()]
    assert places == sorted(places)
    assert tops[".totals"]["height"] < 40, "one line"
    assert places[-1] + tops[".claim > summary"]["height"] <= 900


def test_a_total_selects_the_claims_that_it_counts(page):
    page.locator("#filter-paper").select_option("other")
    page.locator(".totals .contradicted").click()
    assert read_verdicts(page) == ["contradicted"]
    assert page.locator("#filter-paper").input_value() == ""


def test_a_line_shows_the_interval_that_judges_and_names_the_other(page):
    value = page.locator("#claim-3 .value")
    judging = value.locator(".soft").inner_text().strip("[]")
    page.locator("#claim-3 > summary").click()
    measured = page.locator("#claim-3 dd", has_text="judged by").inner_text()
    unadjusted, _, judged = measured.partition("; judged by ")
    assert judging in judged and judging not in unadjusted
    plain = unadjusted.partition("unadjusted 95 % interval ")[2]
    assert value.locator(".soft").get_attribute("title") == (
        f"The interval that judges; unadjusted 95 % interval: {plain}"
    )


HIDDEN_BY_BARS = """
selector => {
  const top = document.querySelector(selector).getBoundingClientRect().top;
  const bars = [...document.querySelectorAll('.contents, .filters')]
    .filter(bar => getComputedStyle(bar).position === 'sticky')
    .map(bar => bar.getBoundingClientRect().bottom);
  return top < Math.max(0, ...bars);
}
"""


@pytest.mark.parametrize(
    "page",
    [
        {"viewport": {"width": width, "height": 600}, "reduced_motion": "reduce"}
        for width in (400, 1000, 1300, 1900)
    ],
    indirect=True,
    ids=["400", "1000", "1300", "1900"],
)
def test_a_claim_that_is_opened_comes_into_view_below_the_bars(page):
    page.locator(".square").nth(1).click()
    page.locator("#claim-2[open] .chart .main-svg").first.wait_for()
    page.wait_for_function("scrollY > 0")
    assert not page.evaluate(HIDDEN_BY_BARS, "#claim-2 > summary")
    page.locator("#claim-2 > summary").click()
    row = page.locator("#claim-3 > summary")
    top = row.evaluate("row => row.getBoundingClientRect().top")
    page.evaluate("top => scrollBy(0, top - innerHeight + 60)", top)  # at the lower edge
    assert page.locator("#claim-3").bounding_box()["y"] > 500
    row.click()
    page.locator("#claim-3 .chart .main-svg").first.wait_for()
    page.wait_for_function(
        "() => document.querySelector('#claim-3').getBoundingClientRect().top < 300"
    )
    assert not page.evaluate(HIDDEN_BY_BARS, "#claim-3 > summary")


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
    page.locator("#search").fill("CALL Close")
    wait_for_claims(page, 1)
    assert shown.count() == 1 and "1 of 4" in page.locator("#matches").inner_text()
    page.locator("#clear").click()
    assert shown.count() == 4
    page.locator("#search").fill("reverse")
    wait_for_claims(page, 1)
    assert read_verdicts(page) == ["contradicted"]
    page.locator("#clear").click()
    page.locator("#filter-paper").select_option("other")
    assert shown.count() == 1 and page.locator("section.paper:visible").count() == 1
    page.locator("#clear").click()
    page.locator("#filter-method").select_option("nobody")
    assert shown.count() == 1
    page.locator("#clear").click()
    page.evaluate("document.querySelector('#claim-4').dataset.study = 'another'")
    page.locator("#filter-study").select_option("synthetic")
    assert shown.count() == 3
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


def test_a_link_to_a_claim_that_the_filters_hide_shows_it(page):
    page.locator(".chip.undecided").click()
    assert read_verdicts(page) == ["undecided"]
    page.locator(".square").first.click()
    page.locator("#claim-1[open]").wait_for()
    assert page.locator("#claim-1 .view").is_visible() and len(read_verdicts(page)) == 4


def press_tab_until(page, selector):
    """Move the focus forward to an element, as far as fifty steps away."""
    for _ in range(50):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the key Tab does not lead to {selector}")


def test_the_board_is_usable_by_keyboard(page):
    page.locator("#search").focus()
    press_tab_until(page, ".chip.undecided")
    page.keyboard.press("Enter")
    assert read_verdicts(page) == ["undecided"]
    press_tab_until(page, "#claim-3 > summary")
    page.keyboard.press("Enter")
    page.locator("#claim-3 .chart .main-svg").first.wait_for()
    assert page.locator("#claim-3 .trainings tbody tr").count()
