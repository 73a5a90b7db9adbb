"""One panel of a chart on matplotlib axes: its series, limits and ticks."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import matplotlib.axis
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from analysis.chart import Axis, Panel, Series

ARROW = 1.7
"""Factor from a point to the tip of its arrow."""
SMALL, BEHIND = 2.0, 1
"""Size of markers and order of drawing of what is in the background."""
LEVEL_COLOUR = "#555555"
TICK_MULTIPLES = (
    (6, (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)),
    (60, (1.0, 2.0, 5.0)),
    (2000, (1.0, 3.0)),
    (math.inf, (1.0,)),
)
"""Below this ratio of the ends of a logarithmic axis → ticks in every decade."""
CHARACTERS = 9
"""Characters of a label of y that fit beside an inch of a stack, whose legend takes its share."""
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw_panel(axis: Axes, panel: Panel, height: float, same_y: bool, is_last: bool) -> None:
    """Draw the series and levels of a panel; only the last of a stack has a label for x.

    A label of y that is longer than ``height`` inches allow is wrapped.
    """
    axis.set(
        xscale="log" if panel.x.log else "linear",
        yscale="log" if panel.y.log else "linear",
        title=panel.title,
    )
    for series in panel.series:
        if len(series.data):
            _draw_series(axis, series)
    place = axis.get_subplotspec()
    for value, text in panel.levels.items():
        axis.axhline(value, color=LEVEL_COLOUR, lw=0.7, ls=(0, (4, 3)), zorder=0)
        if place is not None and place.is_last_col():
            _label_level(axis, value, text)
    if is_last:
        axis.set_xlabel(panel.x.label)
    else:
        axis.tick_params(labelbottom=False)
    if not same_y or (place is not None and place.is_first_col()):
        axis.set_ylabel(textwrap.fill(panel.y.label, int(CHARACTERS * height)))


def _label_level(axis: Axes, value: float, text: str) -> None:
    transform = axis.get_yaxis_transform()
    axis.text(1.01, value, text, transform=transform, va="center", fontsize=7, color=LEVEL_COLOUR)


def _draw_series(axis: Axes, series: Series) -> None:
    if series.form == "band":
        data = series.data
        x = data["x"].to_numpy(float)
        axis.fill_between(x, data["lo"], data["hi"], color=series.style.colour, alpha=0.16, lw=0)
    elif series.form == "points":
        for row in series.data.to_dict("records"):
            _draw_point(axis, series, row)
    elif series.form == "ring":
        _draw_rings(axis, series)
    else:
        _draw_line(axis, series)


def _draw_rings(axis: Axes, series: Series) -> None:
    """Open circles with intervals, on top of everything else."""
    style, data = series.style, series.data
    x, y = data["x"].to_numpy(float), data["y"].to_numpy(float)
    zorder = BEHIND if series.background else 4
    if "lo" in data:
        axis.vlines(x, data["lo"], data["hi"], color=style.colour, lw=1.6, zorder=3)
    if "left" in data:
        axis.hlines(y, data["left"], data["right"], color=style.colour, lw=1.6, zorder=3)
    axis.plot(
        x,
        y,
        style.marker or "o",
        color=style.colour,
        mfc="white",
        ms=SMALL if series.background else 7 if style.marker == "*" else 5,
        mew=0.5 if series.background else None,
        zorder=zorder,
    )


def _draw_line(axis: Axes, series: Series) -> None:
    """A line or a curve, in parts where it is broken."""
    style, data = series.style, series.data
    options: dict[str, Any] = {"lw": 1.2}
    if series.background:
        options = {"lw": 0.5, "zorder": BEHIND}
    if series.faint:
        options = {"lw": 0.4, "alpha": 0.3, "zorder": 1}
    if series.form == "curve":
        marker_spacing = max(1, len(data) // 9)
        options |= {"marker": style.marker or None, "ms": 3.5, "markevery": marker_spacing}
    parts: list[pd.DataFrame] = [data]
    if "part" in data:
        parts = [part for _, part in data.groupby("part", sort=False)]
    for part in parts:
        is_dot = len(part) == 1 and series.faint
        shape = {**options, "marker": ".", "ms": 2} if is_dot else options
        axis.plot(part["x"], part["y"], color=style.colour, ls=style.dash, **shape)


def _draw_point(axis: Axes, series: Series, row: Mapping[str, Any]) -> None:
    """A marker with its interval.

    With an arrow where n* lies beyond the grid; open where it is not bracketed.
    """
    colour = series.style.colour
    x, y, mark = row["x"], row["y"], row.get("mark") or ""
    lo, hi = row.get("lo", np.nan), row.get("hi", np.nan)
    if mark in ("up", "down"):
        _draw_arrow(axis, x, y, y * ARROW if mark == "up" else y / ARROW, colour)
        inner = lo if mark == "up" else hi
        lo, hi = y, inner if 0 < inner < np.inf else y
    if np.isfinite([lo, hi]).all():
        axis.plot([x, x], [lo, hi], color=colour, lw=1.0)
    left, right = row.get("left", np.nan), row.get("right", np.nan)
    if np.isfinite([left, right]).all():
        axis.plot([left, right], [y, y], color=colour, lw=1.0, alpha=0.55)
    axis.plot(
        [x],
        [y],
        series.style.marker or "o",
        color=colour,
        mfc="white" if mark else colour,
        zorder=BEHIND if series.background else 3,
        ms=SMALL if series.background else 3.5 if "left" in row else None,
    )


def _draw_arrow(axis: Axes, x: float, y: float, tip: float, colour: str) -> None:
    arrow = {
        "arrowstyle": "-|>",
        "color": colour,
        "lw": 1.0,
        "shrinkA": 0,
        "shrinkB": 0,
        "mutation_scale": 7,
    }
    axis.annotate("", (x, tip), (x, y), arrowprops=arrow)
    axis.plot([x], [tip], alpha=0)  # extends the limits to the tip


def set_limits_and_ticks(axis: Axes, panel: Panel) -> None:
    """The ranges that the chart asks for, at least a decade of a logarithmic y, and ticks."""
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
    _set_ticks(axis.xaxis, panel.x, is_crowded=True)
    _set_ticks(axis.yaxis, panel.y, is_crowded=False)


def _set_ticks(axis: matplotlib.axis.Axis, spec: Axis, is_crowded: bool) -> None:
    """Plain numbers: at the places the chart names, or as many as the range has room for.

    Fewer and shorter if ``is_crowded``.
    """
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    if spec.ticks is not None:
        ticks = spec.ticks
        axis.set_major_locator(FixedLocator(list(ticks)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: _find_label(ticks, value)))
    elif spec.log:
        low, high = sorted(axis.get_view_interval())
        span = high / low * (10 if is_crowded else 1)
        multiples = next(subs for limit, subs in TICK_MULTIPLES if span < limit)
        axis.set_major_locator(LogLocator(subs=multiples))
        axis.set_major_formatter(FuncFormatter(lambda value, _: _format_tick(value, is_crowded)))
    else:
        axis.set_major_locator(MaxNLocator(6))


def _find_label(ticks: Mapping[float, str], value: float) -> str:
    """The label of the named place nearest to a tick."""
    return ticks[min(ticks, key=lambda place: abs(place - value))]


def _format_tick(value: float, is_short: bool) -> str:
    if value < 0.00099:
        exponent = math.floor(math.log10(value) + 1e-9)
        lead = round(value / 10.0**exponent, 1)
        power = "10" + str(exponent).translate(SUPERSCRIPTS)
        return ("" if lead == 1 else f"{lead:g}·") + power
    if is_short and value >= 1000:
        return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k"
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
