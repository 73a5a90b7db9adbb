"""Charts on paper: a :class:`analysis.chart.Chart` as a matplotlib figure, in three formats.

A figure has a paper's text width. The style is
``paper.mplstyle``; widths are those of the common two-column templates. Neither importing this
module nor drawing touches pyplot or its backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from analysis.chart import Chart
from analysis.emphasis import emphasise_lines
from analysis.paper_legend import make_handles, measure_excess
from analysis.paper_panel import draw_panel, set_limits_and_ticks

STYLE = str(Path(__file__).with_name("paper.mplstyle"))
COLUMN, TEXT = 3.35, 7.0
"""Inches: a column and the full text of a two-column paper."""
LEAST_PANEL = 2.2
"""Inches that a panel needs at least."""
BELOW_AXES = 0.38
"""Inches from the axes to the legend under them: ticks and the label of x."""
SINGLE_PANEL = 0.62
"""Share of the text's width that a single panel takes."""
FORMATS = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Ending → metadata; without dates, so that equal data give equal files."""

Stack = Sequence[Axes]
"""The axes of one column of a chart, top to bottom."""


def draw(chart: Chart, width: float | None = None) -> Figure:
    """The chart ``width`` inches wide, with as many panels side by side as are legible.

    By default :data:`TEXT` inches, and :data:`SINGLE_PANEL` of it for a single panel.
    """
    chart = emphasise_lines(chart)
    columns = _count_columns(chart, width)
    if width is None:
        width = TEXT if columns > 1 else SINGLE_PANEL * TEXT
    legends = _make_legends(chart, columns, width)
    with matplotlib.style.context(STYLE):
        figure, stacks = _lay_out(chart, columns, width, _measure_excess(chart, columns, legends))
        for panels, axes in zip(chart.columns, stacks, strict=True):
            for panel, axis, height in zip(panels, axes, chart.heights, strict=False):
                draw_panel(axis, panel, height, chart.same_y, is_last=panel is panels[-1])
        if chart.same_y:
            _share_y(stacks, chart)
        for panels, axes in zip(chart.columns, stacks, strict=True):
            for panel, axis in zip(panels, axes, strict=True):
                set_limits_and_ticks(axis, panel)
        _add_legends(figure, stacks, chart, columns, legends)
    return figure


def _count_columns(chart: Chart, width: float | None) -> int:
    """How many panels stand side by side."""
    count = len(chart.columns)
    columns = 2 if count == 4 else min(count, chart.max_columns)
    return min(columns, max(1, int((width or TEXT) / LEAST_PANEL)))


def _make_legends(chart: Chart, columns: int, width: float) -> list[list[Line2D]]:
    """The entries of the legend of every column, or of the one of the figure."""
    if chart.legend == "column":
        return [make_handles([panels], chart, width / columns) for panels in chart.columns]
    return [make_handles(chart.columns, chart, width / _count_across(columns))]


def _count_across(columns: int) -> int:
    """Columns of the legend of a figure."""
    return min(2, columns)


def _measure_excess(chart: Chart, columns: int, legends: Sequence[Sequence[Line2D]]) -> float:
    """Inches that a figure is higher than its panels, for legends of many lines."""
    has_title = bool(chart.legend_title)
    if chart.legend == "figure":
        return measure_excess(legends[0], _count_across(columns), has_title)
    excess = [measure_excess(handles, 1, has_title) for handles in legends]
    return sum(max(excess[start : start + columns]) for start in range(0, len(excess), columns))


def _lay_out(chart: Chart, columns: int, width: float, excess: float) -> tuple[Figure, list[Stack]]:
    """An empty figure and the axes of every column of the chart."""
    high = len(chart.heights)
    rows = -(-len(chart.columns) // columns)
    height = rows * sum(chart.heights) + excess
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(
        rows * high, columns, squeeze=False, height_ratios=[*chart.heights] * rows
    )
    stacks: list[Stack] = []
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        axes = list(grid[row * high : (row + 1) * high, column])
        used = len(chart.columns[number]) if number < len(chart.columns) else 0
        for axis in axes[used:]:
            axis.remove()
        stacks.append(axes[:used])
    return figure, stacks[: len(chart.columns)]


def _share_y(stacks: Sequence[Stack], chart: Chart) -> None:
    """One y range for the panels that stand at the same height of their stacks."""
    for level in range(len(chart.heights)):
        axes = [stack[level] for stack in stacks if level < len(stack)]
        limits = [axis.get_ylim() for axis in axes]
        for axis in axes:
            axis.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def _add_legends(
    figure: Figure,
    stacks: Sequence[Stack],
    chart: Chart,
    columns: int,
    legends: Sequence[Sequence[Line2D]],
) -> None:
    """One legend under every column, or one for the figure."""
    if chart.legend == "column":
        below = ScaledTranslation(0, -BELOW_AXES, figure.dpi_scale_trans)
        for handles, axes in zip(legends, stacks, strict=True):
            axes[-1].legend(
                handles=handles,
                loc="upper center",
                bbox_to_anchor=(0.5, 0.0),
                bbox_transform=axes[-1].transAxes + below,
                title=chart.legend_title,
            )
        return
    (handles,) = legends
    if handles:
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=_count_across(columns),
            title=chart.legend_title,
        )


def save(
    chart: Chart,
    stem: Path,
    formats: Sequence[str] = tuple(FORMATS),
    width: float | None = None,
) -> list[Path]:
    """Write ``stem`` in the formats, PNG at 200 dots per inch; returns the paths."""
    figure = draw(chart, width)
    paths = []
    with matplotlib.style.context(STYLE):
        for ending in formats:
            paths.append(stem.with_name(f"{stem.name}.{ending}"))
            figure.savefig(paths[-1], metadata=FORMATS[ending])
    return paths
