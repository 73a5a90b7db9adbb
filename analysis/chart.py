"""A figure as data.

A :class:`Chart` describes what is shown (panels, series, axes) and nothing of how it is drawn:
:mod:`analysis.paper` draws it with matplotlib for a paper, :mod:`analysis.web.plotly_figure` turns
it into Plotly figures for the page, and :meth:`Chart.to_table` is the CSV that comes with it. So
every figure is written once, and what a reader downloads is what was drawn. A :class:`TableFigure`
is a table that is shown as such. A kind of figure is one file of :mod:`analysis.plots`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from analysis.style import LineStyle

GREY = "#6b7075"
GUIDE = LineStyle(GREY, "", ":")
"""The style of what was not measured: bounds and slopes from theory."""
TABLE_COLUMNS = ("panel", "series", "form", "x", "y")
"""The columns that the table of every chart has."""


@dataclass(frozen=True)
class Series:
    """One set of points or one curve in a panel.

    ``data`` has the columns ``x`` and ``y`` and may have: ``lo, hi`` (an interval of y, or the
    edges of a band), ``left, right`` (an extent in x), ``mark`` (``up``/``down``: an open marker
    with an arrow, n* lies beyond; ``open``: an open marker), ``part`` (a line is broken where it
    changes), ``note`` (further text shown on hover).
    """

    name: str
    style: LineStyle
    data: pd.DataFrame
    form: Literal["points", "line", "curve", "band", "ring"] = "points"
    """Markers with intervals, a line, a line with markers, an area between lo and hi, or open
    circles on top."""
    legend: str = ""
    """The text in the legend; none if empty."""
    faint: bool = False
    """Drawn thin, as the seeds behind a median."""
    background: bool = False
    """Drawn small and behind the others, as the lines that a legend has no room for."""


@dataclass(frozen=True)
class Axis:
    """One axis of a panel."""

    label: str = ""
    log: bool = True
    ticks: Mapping[float, str] | None = None
    """Position → text, where the values are few or are names."""
    range: tuple[float, float] | None = None
    """What is shown first; zooming reaches everything."""


@dataclass(frozen=True)
class Panel:
    """Axes with series; ``levels`` are horizontal dashed lines, value → text."""

    series: Sequence[Series]
    x: Axis
    y: Axis
    title: str = ""
    levels: Mapping[float, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Chart:
    """A figure: panels side by side, each the top of a stack of panels that share x."""

    name: str
    """The name of its files, after the study's."""
    caption: str
    columns: Sequence[Sequence[Panel]]
    heights: Sequence[float] = (2.6,)
    """Inches of each panel of a stack on paper."""
    legend: Literal["column", "figure"] = "figure"
    """One legend under every column, or one for the figure."""
    legend_title: str = ""
    max_columns: int = 2
    """Panels side by side on paper."""
    same_y: bool = False
    """The panels of a row show the same range."""
    notes: Sequence[str] = ()
    """Lines under the legend."""

    def to_table(self) -> pd.DataFrame:
        """Every drawn value: :data:`TABLE_COLUMNS` and the optional columns of its series."""
        heads: list[tuple[str, str, str]] = []
        parts: list[pd.DataFrame] = []
        for stack in self.columns:
            for panel in stack:
                label = ", ".join(filter(None, (stack[0].title, panel.y.label)))
                for series in panel.series:
                    if len(series.data):
                        heads.append((label, series.name, series.form))
                        parts.append(series.data)
        if not parts:
            return pd.DataFrame(columns=list(TABLE_COLUMNS))
        lengths = [len(part) for part in parts]
        table = pd.concat(parts, ignore_index=True)
        for name, values in zip(TABLE_COLUMNS, zip(*heads, strict=True), strict=False):
            table[name] = np.repeat(np.array(values, dtype=object), lengths)
        optional = [name for name in table if name not in TABLE_COLUMNS]
        return table[[*TABLE_COLUMNS, *optional]]


@dataclass(frozen=True)
class TableFigure:
    """A table among the figures, with ``title`` above and ``caption`` below."""

    name: str
    title: str
    caption: str
    data: pd.DataFrame


FigureDescription = Chart | TableFigure
