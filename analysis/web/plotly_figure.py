"""Charts in the browser: a :class:`analysis.chart.Chart` as Plotly figures.

Every column of a chart becomes one Plotly figure, so that the page can place as many side by side
as its width allows. This module lays them out: panels, axes, levels and legends;
:mod:`analysis.web.plotly_traces` draws the series. Figures are plain JSON values; importing either
module does not import plotly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.chart import GREY, Axis, Chart, Panel
from analysis.web.plotly_traces import SYMBOLS, find_tips, make_traces

PIXELS_PER_INCH = 96
MAX_TICKS = 8
FEW_DECADES = (1.2, 2.6)
"""Lengths of a logarithmic axis that get labels at 1, 2 and 5 of every decade."""
GAP = 0.06
"""Share of the height between the panels of a stack."""
Figure = dict[str, Any]


def make_plotly_figures(chart: Chart) -> list[Figure]:
    """One Plotly figure, ``{"data": …, "layout": …}``, per column of the chart."""
    shared = _share_ranges(chart) if chart.same_y else {}
    return [_make_figure(stack, chart.heights, shared) for stack in chart.columns]


def make_legend(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """The entries of a legend: each text once, in the order drawn, with the look of its series."""
    entries: dict[str, dict[str, Any]] = {}
    for panel in panels:
        for series in panel.series:
            if series.legend and series.legend not in entries:
                entries[series.legend] = {
                    "text": series.legend,
                    "series": series.name,
                    "colour": series.style.colour,
                    "dash": "" if series.form == "ring" else series.style.dash,
                    "symbol": "" if series.form == "line" else SYMBOLS[series.style.marker],
                    "open": series.form == "ring",
                }
    return list(entries.values())


def _make_figure(
    stack: Sequence[Panel], heights: Sequence[float], shared: Mapping[int, tuple[float, float]]
) -> Figure:
    """The panels of a stack under each other, with one x axis at the bottom."""
    used = list(heights[: len(stack)])
    layout: dict[str, Any] = {
        "height": round(sum(used) * PIXELS_PER_INCH) + 40,
        "margin": {"l": 62, "r": 58 if any(panel.levels for panel in stack) else 14, "b": 44},
        "hovermode": "closest",
        "showlegend": False,
        "shapes": [],
        "annotations": [],
    }
    layout["margin"]["t"] = 30 if stack[0].title else 12
    if stack[0].title:
        layout["title"] = {"text": stack[0].title, "x": 0.5, "xanchor": "center", "y": 0.98}
    data: list[dict[str, Any]] = []
    domains = _divide_height(used)
    for number, (panel, domain) in enumerate(zip(stack, domains, strict=True)):
        key = _axis_key(number)
        y_range = panel.y.range or shared.get(number) or _find_y_range(panel)
        layout[f"yaxis{key}"] = {**_make_axis(panel.y, y_range), "domain": domain, "anchor": "x"}
        for series in panel.series:
            if len(series.data):
                data.extend(make_traces(series, panel, f"y{key}", y_range))
        for value, text in panel.levels.items():
            _add_level(layout, value, text, f"y{key}", panel.y.log)
    bottom = stack[-1]
    layout["xaxis"] = {**_make_axis(bottom.x, bottom.x.range), "anchor": f"y{_axis_key(used)}"}
    return {"data": data, "layout": layout}


def _axis_key(position: int | Sequence[Any]) -> str:
    """Plotly's number of an axis: none for the first; of a sequence, that of its last element."""
    number = position if isinstance(position, int) else len(position) - 1
    return "" if number == 0 else str(number + 1)


def _divide_height(heights: Sequence[float]) -> list[list[float]]:
    """The share of the figure's height that each panel takes, the first on top."""
    free = 1.0 - GAP * (len(heights) - 1)
    total = sum(heights)
    top = 1.0
    domains = []
    for height in heights:
        bottom = top - free * height / total
        domains.append([round(max(bottom, 0.0), 4), round(top, 4)])
        top = bottom - GAP
    return domains


def _make_axis(axis: Axis, limits: tuple[float, float] | None) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "title": {"text": axis.label},
        "type": "log" if axis.log else "linear",
        "automargin": True,
        "zeroline": False,
        "tickformat": ",~g",
        "nticks": MAX_TICKS,
    }
    if axis.ticks is not None:
        settings["tickvals"] = [float(value) for value in axis.ticks]
        settings["ticktext"] = list(axis.ticks.values())
    elif axis.log and limits is not None and _spans_few_decades(*limits):
        settings["dtick"] = "D2"
    if limits is not None:
        settings["range"] = [math.log10(end) if axis.log else float(end) for end in limits]
    return settings


def _spans_few_decades(lo: float, hi: float) -> bool:
    """Whether Plotly would label all digits of every decade, where 1, 2 and 5 suffice."""
    return FEW_DECADES[0] <= math.log10(hi / lo) <= FEW_DECADES[1]


def _find_y_range(panel: Panel) -> tuple[float, float] | None:
    """At least a decade of a logarithmic axis; None where Plotly's own range will do."""
    values = _collect_y(panel)
    if not panel.y.log or not len(values):
        return None
    lo, hi = float(values.min()), float(values.max())
    if hi >= 10.0 * lo:
        margin = (hi / lo) ** 0.06
        return lo / margin, hi * margin
    middle = math.sqrt(lo * hi)
    return middle / math.sqrt(10.0), middle * math.sqrt(10.0)


def _collect_y(panel: Panel) -> np.ndarray:
    """All y that are drawn, the finite ends of intervals, the tips of arrows and the levels."""
    columns = [np.array(list(panel.levels), float)]
    for series in panel.series:
        for name in ("y", "lo", "hi"):
            if name in series.data:
                columns.append(pd.to_numeric(series.data[name], errors="coerce").to_numpy(float))
        if "mark" in series.data:
            columns.append(find_tips(series.data, panel.y.log, None)[1])
    values: np.ndarray = np.concatenate(columns)
    is_drawn = np.isfinite(values) & (values > 0) if panel.y.log else np.isfinite(values)
    drawn: np.ndarray = values[is_drawn]
    return drawn


def _share_ranges(chart: Chart) -> dict[int, tuple[float, float]]:
    """One y range for the panels at the same height of their stacks, by their number."""
    ranges: dict[int, tuple[float, float]] = {}
    for number in range(len(chart.heights)):
        panels = [stack[number] for stack in chart.columns if number < len(stack)]
        limits = [_find_y_range(panel) for panel in panels]
        known = [ends for ends in limits if ends is not None]
        if known:
            ranges[number] = min(lo for lo, _ in known), max(hi for _, hi in known)
    return ranges


def _add_level(layout: dict[str, Any], value: float, text: str, axis: str, is_log: bool) -> None:
    """A dashed horizontal line with its text at the right."""
    line = {"color": GREY, "width": 1, "dash": "dash"}
    place = {"xref": "paper", "yref": axis}
    layout["shapes"].append(
        {"type": "line", **place, "x0": 0, "x1": 1, "y0": value, "y1": value, "line": line}
    )
    layout["annotations"].append(
        {
            **place,
            "x": 1.01,
            "y": math.log10(value) if is_log else value,
            "text": text,
            "showarrow": False,
            "xanchor": "left",
            "font": {"size": 11},
        }
    )
