"""The legend of a chart on paper."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.lines import Line2D

from analysis.chart import GREY, Chart, Panel, Series

CHARACTERS = 17
"""Characters of a legend that fit into one inch."""


ENTRY_INCHES, LINE_INCHES = 0.157, 0.125
"""Height of an entry of one line, and of every further line of it."""
USUAL_INCHES = 0.45
"""Height of a legend that the heights of panels have room for."""


def measure_excess(handles: Sequence[Line2D], across: int, has_title: bool) -> float:
    """Inches that a legend in ``across`` columns is higher than what there is room for."""
    lines = [str(handle.get_label()).count("\n") for handle in handles]
    height = ENTRY_INCHES * (-(-len(lines) // across) + has_title)
    return max(0.0, height + LINE_INCHES * sum(lines) / across - USUAL_INCHES)


def make_handles(columns: Sequence[Sequence[Panel]], chart: Chart, width: float) -> list[Line2D]:
    """Legend entries for a column of ``width`` inches, then the chart's notes.

    Each text appears once, in the order drawn.
    """
    entries: dict[str, Line2D] = {}
    for stack in columns:
        for panel in stack:
            for series in panel.series:
                if series.legend and series.legend not in entries:
                    entries[series.legend] = _make_handle(series, width)
    notes = [Line2D([], [], ls="", color=GREY, label=note) for note in chart.notes]
    return [*entries.values(), *notes]


def _make_handle(series: Series, width: float) -> Line2D:
    style = series.style
    is_ring = series.form == "ring"
    marker = style.marker or ("o" if is_ring else "")
    return Line2D(
        [],
        [],
        color=style.colour,
        marker="" if series.form == "line" else marker,
        ls="" if is_ring else style.dash,
        lw=1.2,
        label=textwrap.fill(series.legend, int(CHARACTERS * width)),
        mfc="white" if is_ring else style.colour,
    )
