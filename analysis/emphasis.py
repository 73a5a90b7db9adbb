"""Charts with many lines: a few keep their colours and a legend, the rest are drawn in grey.

A legend of sixteen lines leaves no room for the figure, and with more lines than colours nobody
can follow one. The lines that stay are those that end lowest and highest (for n*: the methods that
need the fewest and the most samples), half of each; the page names every line on hover, and the CSV
of a chart holds them all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from analysis.chart import Chart, Panel, Series
from analysis.style import LineStyle

MAX_LINES = 10
"""As many lines as a legend may name."""
BACKGROUND = "#b4b8bd"
"""The colour of the lines in the background."""
EXTENTS = ("lo", "hi", "left", "right")
"""Columns of intervals and of extents in x."""


def emphasise_lines(chart: Chart, limit: int = MAX_LINES) -> Chart:
    """The chart with at most ``limit`` named lines; unchanged where it has no more than those.

    What belongs to a line has the name ``<line>: …`` and goes with it.
    """
    named = _find_named_lines(chart)
    if len(named) <= limit:
        return chart
    highlighted = _choose_lines(chart, named, limit)
    columns = [
        [_fade_panel(panel, named, highlighted) for panel in stack] for stack in chart.columns
    ]
    note = f"{len(named) - len(highlighted)} further lines in grey"
    return replace(chart, columns=columns, notes=[*chart.notes, note])


def _list_series(chart: Chart) -> list[Series]:
    series: list[Series] = []
    for stack in chart.columns:
        for panel in stack:
            series.extend(panel.series)
    return series


def _find_named_lines(chart: Chart) -> list[str]:
    """The names of the series with a text in the legend, each once, as drawn."""
    names = [series.name for series in _list_series(chart) if series.legend]
    return list(dict.fromkeys(names))


def _choose_lines(chart: Chart, named: Sequence[str], limit: int) -> set[str]:
    """The lines with the lowest and the highest last y; lines without data come last."""
    ends: dict[str, float] = {}
    for series in _list_series(chart):
        if series.name in named and len(series.data):
            data = series.data.dropna(subset=["x", "y"])
            if len(data):
                ends.setdefault(series.name, float(data.loc[data["x"].idxmax(), "y"]))
    ordered = sorted(ends, key=lambda name: (ends[name], name))
    low = ordered[: limit - limit // 2]
    high = ordered[len(low) :][-(limit // 2) :]
    chosen = [*low, *high]
    rest = [name for name in named if name not in chosen]
    return {*chosen, *rest[: limit - len(chosen)]}


def _fade_panel(panel: Panel, named: Sequence[str], highlighted: Collection[str]) -> Panel:
    """The panel with the series of other lines in grey, and drawn first; bands are left out."""
    faded = []
    full = []
    for series in panel.series:
        line = _find_line(series.name, named)
        if line is None or line in highlighted:
            full.append(series)
        elif series.form != "band":
            faded.append(_fade_series(series))
    return replace(panel, series=[*faded, *full])


def _fade_series(series: Series) -> Series:
    """A series in grey without its intervals, arrows and, along a curve, markers.

    The intervals of fifty lines would fill the panel.
    """
    data = series.data.drop(columns=[name for name in EXTENTS if name in series.data])
    if "mark" in data:
        data = data.assign(mark=data["mark"].replace(["up", "down"], "open"))
    return replace(
        series,
        style=LineStyle(BACKGROUND, series.style.marker, series.style.dash),
        data=data,
        form="line" if series.form == "curve" else series.form,
        legend="",
        background=True,
    )


def _find_line(name: str, named: Sequence[str]) -> str | None:
    """The named line that a series belongs to, the longest that fits."""
    owners = [line for line in named if name == line or name.startswith(f"{line}: ")]
    return max(owners, key=len, default=None)


def count_drawn_points(chart: Chart) -> int:
    """How many points a chart draws that are neither missing nor infinite in y."""
    counts = [
        int(np.isfinite(series.data["y"].to_numpy(float)).sum())
        for series in _list_series(chart)
        if len(series.data)
    ]
    return sum(counts)
