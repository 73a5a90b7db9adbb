"""The series of a chart as Plotly's traces: bands, lines, points with intervals, arrows.

Traces carry in ``meta`` the name of their series, by which the page's script hides or highlights a
line, and in ``text`` what is shown on hover.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.chart import Axis, Panel, Series
from analysis.display_table import format_number

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
BACKGROUND_SIZE = 4
"""Of the markers of what is in the background."""
MARKED_POINTS = 9
"""Markers along a curve."""
DIGITS = 4
"""Of the numbers that are shown on hover."""


def make_traces(
    series: Series, panel: Panel, axis: str, limits: tuple[float, float] | None
) -> Iterator[dict[str, Any]]:
    """The traces of a series; ``axis``: Plotly's name of its y axis, ``limits``: the range of y."""
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
    bounded = np.isfinite(x) & np.isfinite(hi) & np.isfinite(lo)
    x, hi, lo = x[bounded], hi[bounded], lo[bounded]
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
    if series.background:
        line["width"] = 0.8
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
    codes, _ = pd.factorize(data["part"])
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order])) + 1
    if not len(starts):
        return data
    broken = data.take(np.insert(order, starts, order[starts]))
    is_gap = np.zeros(len(broken), dtype=bool)
    is_gap[starts + np.arange(len(starts))] = True
    x, y = (np.where(is_gap, np.nan, broken[name].to_numpy(float)) for name in ("x", "y"))
    return broken.assign(x=x, y=y)


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
            "size": BACKGROUND_SIZE if series.background else 11 if series.form == "ring" else 8,
            "line": {"width": 0.8 if series.background else 1.6, "color": colour},
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
    rows, tips = find_tips(series.data, panel.y.log, limits)
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


def find_tips(
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
    for values in zip(*(data[column].tolist() for column in data), strict=True):
        row = dict(zip(data, values, strict=True))
        y = f"{panel.y.label}: {format_number(row['y'], DIGITS)}"
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
    return (axis.ticks or {}).get(value) or format_number(value, DIGITS)


def _describe_interval(row: Mapping[str, Any]) -> str:
    mark = row.get("mark") or ""
    if mark == "up":
        return " or more"
    if mark == "down":
        return " or less"
    lo, hi = row.get("lo", math.nan), row.get("hi", math.nan)
    if not (math.isfinite(lo) and math.isfinite(hi)):
        return ""
    return f" [{format_number(lo, DIGITS)} – {format_number(hi, DIGITS)}]"


def _to_values(values: Any) -> list[float | None]:
    """JSON values in six digits; what is not finite is null, which Plotly does not draw."""
    numbers = []
    for value in values:
        is_number = value is not None and math.isfinite(value)
        numbers.append(float(f"{value:.6g}") if is_number else None)
    return numbers
