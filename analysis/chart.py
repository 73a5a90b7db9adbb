"""A figure as data. A :class:`Chart` says what is shown – panels, series, axes – and nothing of
how: :mod:`analysis.paper` draws it with matplotlib for a paper, ``chart.js`` draws it in the
browser with zoom and hover, and :meth:`Chart.table` is the CSV beside it. So every figure is
written once, and what a reader downloads is what was drawn. A :class:`Sheet` is a table shown as
such.

A figure kind is one file of :mod:`analysis.plots`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from analysis.style import Look

GREY = "#6b7075"
GUIDE = Look(GREY, "", ":")
"""The look of what was not measured: bounds and slopes of a theory."""


@dataclass(frozen=True)
class Series:
    """One thing in a panel, in the look of its line.

    ``data`` has the columns ``x`` and ``y`` and may have: ``lo, hi`` (an interval of y, or the
    edges of a band), ``left, right`` (an extent in x), ``mark`` (``up``/``down``: an open marker
    with an arrow, n* lies beyond; ``open``: an open marker), ``part`` (a line is broken where it
    changes), ``note`` (more text to show on hover). ``form``: ``points`` (markers with intervals),
    ``line``, ``curve`` (line with markers), ``band`` (between lo and hi) or ``ring`` (open circles
    on top). ``legend``: its text there, none if empty. ``faint``: drawn thin, as the seeds behind a
    median."""

    name: str
    look: Look
    data: pd.DataFrame
    form: Literal["points", "line", "curve", "band", "ring"] = "points"
    legend: str = ""
    faint: bool = False


@dataclass(frozen=True)
class Axis:
    """``ticks``: place → text where the values are few or names; ``range``: what is shown first
    (everything stays reachable)."""

    label: str = ""
    log: bool = True
    ticks: Mapping[float, str] | None = None
    range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Panel:
    """Axes with series; ``levels``: horizontal dashed lines, value → text."""

    series: Sequence[Series]
    x: Axis
    y: Axis
    title: str = ""
    levels: Mapping[float, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Chart:
    """``name``: of its files, after the study's; ``columns``: panels side by side, each a stack of
    panels that share x. ``heights``: inches of each panel of a stack on paper. ``legend``: under
    every ``column``, or one for the ``figure``; ``legend_title`` is said above it. ``most_columns``
    on paper. ``same_y``: panels of a row show the same range. ``notes``: lines under the legend."""

    name: str
    caption: str
    columns: Sequence[Sequence[Panel]]
    heights: Sequence[float] = (2.6,)
    legend: Literal["column", "figure"] = "figure"
    legend_title: str = ""
    most_columns: int = 2
    same_y: bool = False
    notes: Sequence[str] = ()

    def table(self) -> pd.DataFrame:
        """Every drawn value: ``panel, series, form, x, y`` and the optional columns that any series
        has."""
        parts = []
        for stack in self.columns:
            for panel in stack:
                label = ", ".join(filter(None, (stack[0].title, panel.y.label)))
                parts += [
                    s.data.assign(panel=label, series=s.name, form=s.form)
                    for s in panel.series
                    if len(s.data)
                ]
        table = (
            pd.concat(parts, ignore_index=True)
            if parts
            else pd.DataFrame(columns=["panel", "series", "form", "x", "y"])
        )
        order = ["panel", "series", "form", "x", "y"]
        return table[[*order, *(name for name in table if name not in order)]]

    def plain(self) -> dict[str, Any]:
        """The chart as JSON values for the page; infinite and unknown numbers are null."""
        return {
            "name": self.name,
            "legend": self.legend,
            "legendTitle": self.legend_title,
            "notes": list(self.notes),
            "sameY": self.same_y,
            "heights": list(self.heights),
            "columns": [[_panel(p) for p in stack] for stack in self.columns],
        }


@dataclass(frozen=True)
class Sheet:
    """A table among the figures: ``data`` as it is to be read, with ``title`` above and ``caption``
    below it."""

    name: str
    title: str
    caption: str
    data: pd.DataFrame


Exhibit = Chart | Sheet


def _panel(panel: Panel) -> dict[str, Any]:
    series = [
        {
            "name": s.name,
            "colour": s.look.colour,
            "marker": s.look.marker,
            "dash": s.look.dash,
            "form": s.form,
            "legend": s.legend,
            "faint": s.faint,
            "data": {name: [_value(v) for v in s.data[name]] for name in s.data},
        }
        for s in panel.series
        if len(s.data)
    ]
    return {
        "title": panel.title,
        "series": series,
        "x": _axis(panel.x),
        "y": _axis(panel.y),
        "levels": [[value, text] for value, text in panel.levels.items()],
    }


def _axis(axis: Axis) -> dict[str, Any]:
    ticks = (
        None if axis.ticks is None else [[float(place), text] for place, text in axis.ticks.items()]
    )
    return {
        "label": axis.label,
        "log": axis.log,
        "ticks": ticks,
        "range": axis.range and list(map(float, axis.range)),
    }


def _value(value: Any) -> Any:
    if isinstance(value, str) or value is None:
        return value
    number = float(value)
    return float(f"{number:.6g}") if math.isfinite(number) else None
