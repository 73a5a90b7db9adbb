"""Charts on paper: a :class:`analysis.chart.Chart` as a matplotlib figure of a paper's text width,
in three formats, with the drawn values as CSV beside it. The style is ``paper.mplstyle``; widths
are those of the common two-column templates."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from analysis.chart import GREY, Axis, Chart, Panel, Series

STYLE = str(Path(__file__).with_name("paper.mplstyle"))
COLUMN, TEXT = 3.35, 7.0
"""Inches: a column and the full text of a two-column paper."""
FORMATS = ("png", "svg", "pdf")
ARROW = 1.7
PANEL, CHARACTERS = 2.2, 17
"""Inches that a panel needs at least, and characters of a legend that fit into one inch."""


def draw(chart: Chart, width: float | None = None) -> Figure:
    """The chart ``width`` inches wide, with as many panels side by side as are legible; by default
    :data:`TEXT`, 0.62 of it for a single panel. The caller closes the figure."""
    count, high = len(chart.columns), len(chart.heights)
    across = min(
        2 if count == 4 else min(count, chart.most_columns), max(1, int((width or TEXT) / PANEL))
    )
    width = width or (TEXT if across > 1 else 0.62 * TEXT)
    down = -(-count // across)
    with plt.style.context(STYLE):
        figure, grid = plt.subplots(
            down * high,
            across,
            squeeze=False,
            layout="constrained",
            height_ratios=[*chart.heights] * down,
            figsize=(width, down * sum(chart.heights)),
        )
        places = [
            tuple(grid[row * high : (row + 1) * high, column])
            for row in range(down)
            for column in range(across)
        ]
        for axis in (axis for unused in places[count:] for axis in unused):
            axis.remove()
        for stack, axes in zip(chart.columns, places, strict=False):
            for panel, axis in zip(stack, axes, strict=False):
                _panel(axis, panel, chart.same_y, last=panel is stack[-1])
            for axis in axes[len(stack) :]:
                axis.remove()
        if chart.same_y:
            _same_y(places[:count], chart)
        for stack, axes in zip(chart.columns, places, strict=False):
            for panel, axis in zip(stack, axes, strict=False):
                _ticks(axis, panel)
        if chart.legend == "column":
            for stack, axes in zip(chart.columns, places, strict=False):
                drop = -0.36 if len(stack) > 1 else -0.17
                axes[len(stack) - 1].legend(
                    handles=_handles([stack], chart, width / across),
                    loc="upper center",
                    bbox_to_anchor=(0.5, drop),
                    title=chart.legend_title,
                )
        elif handles := _handles(chart.columns, chart, width / min(2, across)):
            figure.legend(
                handles=handles,
                loc="outside lower center",
                ncols=min(2, across),
                title=chart.legend_title,
            )
    return figure


def save(chart: Chart, stem: Path) -> list[Path]:
    """Write ``stem`` as PNG (200 dots per inch), SVG and PDF, without dates so that equal data give
    equal files, and its drawn values as CSV. Returns the paths."""
    figure = draw(chart)
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in FORMATS]
    with plt.style.context(STYLE):
        for path, dates in zip(paths, ({}, {"Date": None}, {"CreationDate": None}), strict=True):
            figure.savefig(path, metadata=dates)
    plt.close(figure)
    table = stem.with_name(f"{stem.name}.csv")
    chart.table().to_csv(table, index=False)
    return [*paths, table]


def _panel(axis: Axes, panel: Panel, same_y: bool, last: bool) -> None:
    axis.set(
        xscale="log" if panel.x.log else "linear",
        yscale="log" if panel.y.log else "linear",
        title=panel.title,
    )
    for series in panel.series:
        if len(series.data):
            _series(axis, series)
    for value, text in panel.levels.items():
        axis.axhline(value, color="#555555", lw=0.7, ls=(0, (4, 3)), zorder=0)
        if axis.get_subplotspec().is_last_col():
            axis.text(
                1.01,
                value,
                text,
                transform=axis.get_yaxis_transform(),
                va="center",
                fontsize=7,
                color="#555555",
            )
    if last:
        axis.set_xlabel(panel.x.label)
    else:
        axis.tick_params(labelbottom=False)
    if not same_y or axis.get_subplotspec().is_first_col():
        axis.set_ylabel(panel.y.label)


def _series(axis: Axes, series: Series) -> None:
    look, data = series.look, series.data
    x, y = data["x"].to_numpy(float), data["y"].to_numpy(float)
    thin = {"lw": 0.4, "alpha": 0.3, "zorder": 1} if series.faint else {"lw": 1.2}
    if series.form == "band":
        axis.fill_between(x, data["lo"], data["hi"], color=look.colour, alpha=0.16, lw=0)
    elif series.form == "points":
        _points(axis, series)
    elif series.form == "ring":
        if "lo" in data:
            axis.vlines(x, data["lo"], data["hi"], color=look.colour, lw=1.6, zorder=3)
        if "left" in data:
            axis.hlines(y, data["left"], data["right"], color=look.colour, lw=1.6, zorder=3)
        axis.plot(
            x,
            y,
            look.marker or "o",
            color=look.colour,
            mfc="white",
            ms=7 if look.marker == "*" else 5,
            zorder=4,
        )
    else:
        markers = {"marker": look.marker or None, "ms": 3.5, "markevery": max(1, len(x) // 9)}
        parts = [own for _, own in data.groupby("part", sort=False)] if "part" in data else [data]
        for own in parts:
            single = {"marker": ".", "ms": 2} if len(own) == 1 and series.faint else {}
            style = {**thin, **(markers if series.form == "curve" else {}), **single}
            axis.plot(own["x"], own["y"], color=look.colour, ls=look.dash, **style)


def _points(axis: Axes, series: Series) -> None:
    """Markers with intervals; with arrows where n* lies beyond, open where it is not bracketed."""
    look = series.look
    for row in series.data.to_dict("records"):
        x, y, mark = row["x"], row["y"], row.get("mark") or ""
        ends = [row.get(name, np.nan) for name in ("lo", "hi")]
        if mark in ("up", "down"):
            tip = y * ARROW if mark == "up" else y / ARROW
            arrow = {
                "arrowstyle": "-|>",
                "color": look.colour,
                "lw": 1.0,
                "shrinkA": 0,
                "shrinkB": 0,
                "mutation_scale": 7,
            }
            axis.annotate("", (x, tip), (x, y), arrowprops=arrow)
            axis.plot([x], [tip], alpha=0)
            inner = ends[0] if mark == "up" else ends[1]
            ends = [y, inner if 0 < inner < np.inf else y]
        if np.isfinite(ends).all():
            axis.plot([x, x], ends, color=look.colour, lw=1.0)
        if np.isfinite([row.get(name, np.nan) for name in ("left", "right")]).all():
            axis.plot([row["left"], row["right"]], [y, y], color=look.colour, lw=1.0, alpha=0.55)
        axis.plot(
            [x],
            [y],
            look.marker or "o",
            color=look.colour,
            mfc="white" if mark else look.colour,
            zorder=3,
            ms=3.5 if "left" in row else None,
        )


def _same_y(places: Sequence[Sequence[Axes]], chart: Chart) -> None:
    """One y range for the panels that stand at the same height of their stacks."""
    for level in range(len(chart.heights)):
        axes = [
            stack[level]
            for stack, panels in zip(places, chart.columns, strict=True)
            if level < len(panels)
        ]
        ends = [axis.get_ylim() for axis in axes]
        for axis in axes:
            axis.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))


def _ticks(axis: Axes, panel: Panel) -> None:
    if panel.x.range:
        axis.set_xlim(*panel.x.range)
    if panel.y.range:
        axis.set_ylim(*panel.y.range)
    elif panel.y.log:
        axis.margins(y=0.08)
        low, high = axis.get_ylim()
        if high < 10 * low:
            middle = math.sqrt(low * high)
            axis.set_ylim(middle / math.sqrt(10), middle * math.sqrt(10))
    for along, spec in ((axis.xaxis, panel.x), (axis.yaxis, panel.y)):
        _axis_ticks(along, spec, crowded=along is axis.xaxis)


def _axis_ticks(axis: matplotlib.axis.Axis, spec: Axis, crowded: bool) -> None:
    """Plain numbers: at the places the chart names, or as many as the range leaves room for; fewer
    and shorter if ``crowded``."""
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    if spec.ticks is not None:
        places = list(spec.ticks)
        axis.set_major_locator(FixedLocator(places))
        axis.set_major_formatter(
            FuncFormatter(
                lambda value, _: spec.ticks[min(places, key=lambda place: abs(place - value))]
            )
        )
    elif spec.log:
        low, high = sorted(axis.get_view_interval())
        span = high / low * (10 if crowded else 1)
        ranges = (
            (6, (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)),
            (60, (1.0, 2.0, 5.0)),
            (2000, (1.0, 3.0)),
            (math.inf, (1.0,)),
        )
        axis.set_major_locator(
            LogLocator(subs=next(subs for limit, subs in ranges if span < limit))
        )
        axis.set_major_formatter(FuncFormatter(lambda value, _: _number(value, crowded)))
    else:
        axis.set_major_locator(MaxNLocator(6))


def _number(value: float, short: bool) -> str:
    if value < 0.00099:
        exponent = math.floor(math.log10(value) + 1e-9)
        lead = round(value / 10.0**exponent, 1)
        power = "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return ("" if lead == 1 else f"{lead:g}·") + power
    if short and value >= 1000:
        return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k"
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _handles(columns: Sequence[Sequence[Panel]], chart: Chart, width: float) -> list[Line2D]:
    """Legend entries for a column of ``width`` inches, each text once, in the order drawn; then the
    chart's notes."""
    entries: dict[str, Line2D] = {}
    for series in (series for stack in columns for panel in stack for series in panel.series):
        if series.legend and series.legend not in entries:
            look = series.look
            line = "" if series.form == "ring" else look.dash
            marker = (
                ""
                if series.form == "line"
                else look.marker or ("o" if series.form == "ring" else "")
            )
            entries[series.legend] = Line2D(
                [],
                [],
                color=look.colour,
                marker=marker,
                ls=line,
                lw=1.2,
                label=textwrap.fill(series.legend, int(CHARACTERS * width)),
                mfc="white" if series.form == "ring" else look.colour,
            )
    return [
        *entries.values(),
        *(Line2D([], [], ls="", color=GREY, label=note) for note in chart.notes),
    ]
