"""The figures of the report page in a real browser: drawn, legible, as their CSV."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from page_scene import CHART, RISK, draw

pytest_plugins = ("page_scene",)
pytestmark = pytest.mark.xdist_group("page")


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


def test_every_dash_of_a_line_has_another_swatch_in_the_legend(page):
    swatches = page.evaluate(
        "() => ['-', '--', '-.', ':'].map(dash => { const key = document.createElement('span');"
        " key.className = 'key'; key.dataset.dash = dash; document.body.append(key);"
        " const look = getComputedStyle(key); return look.backgroundImage + look.backgroundColor;"
        " })"
    )
    assert len(set(swatches)) == 4
    chart = draw(page, CHART)
    assert chart.locator(".legend .key[data-dash='-']").count()


@pytest.mark.parametrize("page", [{}, {"is_mobile": True, "has_touch": True}], indirect=True)
def test_hints_for_a_mouse_are_shown_only_where_there_is_one(page):
    has_mouse = page.evaluate("matchMedia('(hover: hover)').matches")
    assert page.locator("figure .tools .soft").first.is_visible() == has_mouse
