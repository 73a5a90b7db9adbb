"""Charts in the browser: a :class:`analysis.chart.Chart` as Plotly figures.

Every column of a chart becomes one Plotly figure, so that the page can place as many side by side
as its width allows. Traces carry in ``meta`` the name of their series, by which the page's script
hides or highlights a line, and in ``text`` what is shown on hover. Figures are plain JSON values;
importing this module does not import plotly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.chart import GREY, Axis, Chart, Panel, Series

PIXELS_PER_INCH = 96
MAX_TICKS = 8
GAP = 0.06
"""Share of the height between the panels of a stack."""
SYMBOLS = {
    "": "circle",
    "o": "circle",
    "s": "square",
    "D": "diamond",
    "^": "triangle-up",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
    "h": "hexagon",
    "<": "triangle-left",
    ">": "triangle-right",
    "*": "star",
}
DASHES = {"": "solid", "-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
ARROW_FACTOR = 1.5
"""From a point to the tip of its arrow, on a logarithmic axis."""
ARROW_SHARE = 0.1
"""The same on a linear axis, as a share of the range of y."""
POINT_COLUMNS = ("x", "y", "lo", "hi", "left", "right", "mark", "part", "note")
"""The columns of a series that say how it is drawn."""
MARKED_POINTS = 9
"""Markers along a curve."""

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
                data.extend(_make_traces(series, panel, f"y{key}", y_range))
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
    if limits is not None:
        settings["range"] = [math.log10(end) if axis.log else float(end) for end in limits]
    return settings


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
            columns.append(_find_tips(series.data, panel.y.log, None)[1])
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


def _make_traces(
    series: Series, panel: Panel, axis: str, limits: tuple[float, float] | None
) -> Iterator[dict[str, Any]]:
    common = {
        "type": "scatter",
        "name": series.name,
        "meta": series.name,
        "yaxis": axis,
        "xaxis": "x",
        "hoverinfo": "text",
    }
    if series.form == "band":
        yield {**common, **_draw_band(series, panel)}
        return
    if series.form in ("line", "curve"):
        yield {**common, **_draw_line(series, panel)}
        return
    yield {**common, **_draw_points(series, panel)}
    if "mark" in series.data and series.data["mark"].isin(["up", "down"]).any():
        yield {**common, **_draw_arrows(series, panel, limits)}


def _draw_band(series: Series, panel: Panel) -> dict[str, Any]:
    """A filled area; where a lower edge is not positive on a log axis it is cut far below."""
    data = series.data
    x, hi, lo = (data[name].to_numpy(float) for name in ("x", "hi", "lo"))
    if panel.y.log:
        positive = hi[hi > 0]
        floor = positive.min() / 1e3 if len(positive) else 1e-12
        lo = np.where(lo > 0, lo, floor)
    kept = np.isfinite(x) & np.isfinite(hi) & np.isfinite(lo)
    x, hi, lo = x[kept], hi[kept], lo[kept]
    return {
        "x": _to_values([*x, *x[::-1]]),
        "y": _to_values([*hi, *lo[::-1]]),
        "mode": "lines",
        "line": {"width": 0, "color": series.style.colour},
        "fill": "toself",
        "fillcolor": series.style.colour,
        "opacity": 0.17,
        "hoverinfo": "skip",
    }


def _draw_line(series: Series, panel: Panel) -> dict[str, Any]:
    data = _break_parts(series.data)
    line = {"color": series.style.colour, "dash": DASHES[series.style.dash], "width": 1.8}
    trace: dict[str, Any] = {
        "x": _to_values(data["x"]),
        "y": _to_values(data["y"]),
        "mode": "lines",
        "line": line,
        "connectgaps": False,
    }
    if series.faint:
        line["width"] = 0.7
        return {**trace, "opacity": 0.35, "hoverinfo": "skip"}
    trace["text"] = _describe_points(series.name, data, panel)
    if series.form == "curve" and series.style.marker:
        trace["mode"] = "lines+markers"
        trace["marker"] = {
            "symbol": SYMBOLS[series.style.marker],
            "color": series.style.colour,
            "size": 6,
            "maxdisplayed": MARKED_POINTS,
        }
    return trace


def _break_parts(data: pd.DataFrame) -> pd.DataFrame:
    """The points of a line, with a gap where its part changes."""
    if "part" not in data:
        return data
    pieces: list[pd.DataFrame] = []
    for _, piece in data.groupby("part", sort=False):
        if pieces:
            pieces.append(piece.iloc[:1].assign(x=np.nan, y=np.nan))
        pieces.append(piece)
    return pd.concat(pieces, ignore_index=True)


def _draw_points(series: Series, panel: Panel) -> dict[str, Any]:
    """Markers with their intervals; open where n* lies beyond or is not bracketed."""
    data, colour = series.data, series.style.colour
    marks = data["mark"].fillna("") if "mark" in data else pd.Series("", index=data.index)
    symbol = SYMBOLS[series.style.marker]
    is_open = (marks != "") | (series.form == "ring")
    trace: dict[str, Any] = {
        "x": _to_values(data["x"]),
        "y": _to_values(data["y"]),
        "mode": "markers",
        "marker": {
            "symbol": [f"{symbol}-open" if value else symbol for value in is_open],
            "color": colour,
            "size": 11 if series.form == "ring" else 8,
            "line": {"width": 1.6, "color": colour},
        },
        "text": _describe_points(series.name, data, panel),
    }
    if "lo" in data and "hi" in data:
        trace["error_y"] = _make_error(data, "y", "lo", "hi", colour)
    if "left" in data and "right" in data:
        trace["error_x"] = _make_error(data, "x", "left", "right", colour)
    return trace


def _make_error(
    data: pd.DataFrame, column: str, lower: str, upper: str, colour: str
) -> dict[str, Any]:
    """Error bars from absolute ends; an end that is unknown or infinite has none."""
    centre = data[column].to_numpy(float)
    below = centre - data[lower].to_numpy(float)
    above = data[upper].to_numpy(float) - centre
    return {
        "type": "data",
        "symmetric": False,
        "array": _to_values(np.where(np.isfinite(above), above, 0.0)),
        "arrayminus": _to_values(np.where(np.isfinite(below), below, 0.0)),
        "color": colour,
        "thickness": 1.5,
        "width": 0,
    }


def _draw_arrows(
    series: Series, panel: Panel, limits: tuple[float, float] | None
) -> dict[str, Any]:
    """Lines from points to triangles that say in which direction n* lies."""
    rows, tips = _find_tips(series.data, panel.y.log, limits)
    x: list[Any] = []
    y: list[Any] = []
    symbols: list[str] = []
    for row, tip in zip(rows.to_dict("records"), tips, strict=True):
        x.extend([row["x"], row["x"], None])
        y.extend([row["y"], tip, None])
        head = "triangle-up" if row["mark"] == "up" else "triangle-down"
        symbols.extend(["circle", head, "circle"])
    sizes = [8 if symbol != "circle" else 0 for symbol in symbols]
    colour = series.style.colour
    return {
        "x": _to_values(x),
        "y": _to_values(y),
        "mode": "lines+markers",
        "line": {"color": colour, "width": 1.4},
        "marker": {"symbol": symbols, "size": sizes, "color": colour},
        "hoverinfo": "skip",
    }


def _find_tips(
    data: pd.DataFrame, is_log: bool, limits: tuple[float, float] | None
) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows that have an arrow, and the y of its tip."""
    rows = data[data["mark"].isin(["up", "down"])]
    y = rows["y"].to_numpy(float)
    sign = np.where(rows["mark"] == "up", 1.0, -1.0)
    if is_log:
        return rows, y * ARROW_FACTOR**sign
    span = limits[1] - limits[0] if limits else np.ptp(data["y"].to_numpy(float)) or 1.0
    return rows, y + sign * ARROW_SHARE * span


def _describe_points(name: str, data: pd.DataFrame, panel: Panel) -> list[str]:
    """What is shown on hover, one text per point.

    A further column holds the exact x of points that are moved sideways.
    """
    exact = [column for column in data if column not in POINT_COLUMNS]
    texts = []
    for row in data.to_dict("records"):
        y = f"{panel.y.label}: {format_number(row['y'])}"
        interval = _describe_interval(row)
        x = row[exact[0]] if exact else row["x"]
        lines = [name, f"{panel.x.label}: {_describe_x(x, panel.x)}", f"{y}{interval}"]
        note = row.get("note")
        if isinstance(note, str) and note:
            lines.append(note)
        texts.append("<br>".join(lines))
    return texts


def _describe_x(value: float, axis: Axis) -> str:
    """The text of a named position, else the number."""
    return (axis.ticks or {}).get(value) or format_number(value)


def _describe_interval(row: Mapping[str, Any]) -> str:
    mark = row.get("mark") or ""
    if mark == "up":
        return " or more"
    if mark == "down":
        return " or less"
    lo, hi = row.get("lo", math.nan), row.get("hi", math.nan)
    if not (math.isfinite(lo) and math.isfinite(hi)):
        return ""
    return f" [{format_number(lo)} – {format_number(hi)}]"


def format_number(value: float) -> str:
    """A number in four digits, with separators; a dash where it is unknown."""
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _to_values(values: Any) -> list[float | None]:
    """JSON values in six digits; what is not finite is null, which Plotly does not draw."""
    numbers = []
    for value in values:
        is_number = value is not None and math.isfinite(value)
        numbers.append(float(f"{value:.6g}") if is_number else None)
    return numbers
