"""How every figure looks: one colour and marker per method on the whole page, sizes fit for a paper's column, files in
three formats. Kept apart so that a figure function holds only what it shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""The palette of Okabe and Ito, distinguishable with every common colour blindness (yellow, too faint on white, is
replaced)."""
MARKERS = "osD^vPXh<>"
DASHES = ("-", "--", "-.", ":")
FORMATS = ("png", "svg", "pdf")
WIDTH = 7.0
"""Inches: the text width of a paper."""
FREE = "† validation labels not counted in n"
SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.hashsalt": "bfc",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Look:
    """Of one line: colour and marker belong to its method, the dash tells lines of one method apart."""

    colour: str
    marker: str
    dash: str


def looks(nstar: pd.DataFrame) -> dict[str, Look]:
    """Line label → look, for every line of the n* table; the same methods get the same colours in any study."""
    methods = sorted(nstar["method"].unique())
    found: dict[str, Look] = {}
    for rank, method in enumerate(methods):
        for variant, line in enumerate(sorted(nstar.loc[nstar["method"] == method, "line"].unique())):
            found[line] = Look(
                COLOURS[rank % len(COLOURS)],
                MARKERS[(rank + variant * len(COLOURS)) % len(MARKERS)],
                DASHES[variant % len(DASHES)],
            )
    return found


@contextmanager
def canvas(
    panels: int, height: float = 2.6, most_columns: int = 2, **sharing: bool
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of paper width with ``panels`` axes in rows of at most ``most_columns``; the caller keeps the
    figure."""
    with stacks(panels, (height,), most_columns, **sharing) as (figure, axes):
        yield figure, [axis for (axis,) in axes]


@contextmanager
def stacks(
    panels: int, heights: Sequence[float], most_columns: int = 2, **sharing: bool | str
) -> Iterator[tuple[Figure, list[tuple[Axes, ...]]]]:
    """As :func:`canvas`, each panel a stack of axes of these ``heights``, top to bottom."""
    columns = 2 if panels == 4 else min(panels, most_columns)
    rows, high = -(-panels // columns), len(heights)
    width = WIDTH if columns > 1 else 0.62 * WIDTH
    with plt.rc_context(SETTINGS):
        figure, grid = plt.subplots(
            rows * high,
            columns,
            figsize=(width, rows * sum(heights)),
            layout="constrained",
            squeeze=False,
            height_ratios=[*heights] * rows,
            **sharing,
        )
        places = [tuple(grid[row * high : (row + 1) * high, column]) for row in range(rows) for column in range(columns)]
        for unused in places[panels:]:
            for axis in unused:
                axis.remove()
        yield figure, places[:panels]


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write ``stem`` as PNG (200 dots per inch), SVG and PDF, without dates so that equal data give equal files;
    closes the figure."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in FORMATS]
    with plt.rc_context(SETTINGS):
        for path, dates in zip(paths, ({}, {"Date": None}, {"CreationDate": None}), strict=True):
            figure.savefig(path, dpi=200, metadata=dates)
    plt.close(figure)
    return paths


def log_axis(axis: Axis, ticks: Sequence[float] | None = None, crowded: bool = False) -> None:
    """Plain numbers on a logarithmic axis: at ``ticks``, or as many as its range leaves room for; fewer and shorter if
    ``crowded``."""
    low, high = sorted(axis.get_view_interval())
    axis.set_minor_locator(NullLocator())
    if ticks is not None:
        axis.set_major_locator(FixedLocator(list(ticks)))
    else:
        span = high / low * (10 if crowded else 1)
        ranges = ((6, (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)), (60, (1.0, 2.0, 5.0)), (2000, (1.0, 3.0)), (math.inf, (1.0,)))
        axis.set_major_locator(LogLocator(subs=next(subs for limit, subs in ranges if span < limit)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _number(value, crowded)))
    axis.set_minor_formatter(NullFormatter())


def _number(value: float, short: bool) -> str:
    if value < 0.00099:
        exponent = math.floor(math.log10(value) + 1e-9)
        lead = round(value / 10.0**exponent, 1)
        return (
            ("" if lead == 1 else f"{lead:g}·")
            + "10"
            + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        )
    if short and value >= 1000:
        return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k"
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def thinned(values: Sequence[int]) -> list[int]:
    """Those of ``values`` whose labels fit beside each other on a logarithmic axis."""
    kept: list[int] = []
    for value in sorted(set(values)):
        if not kept or value / kept[-1] > 1.18:
            kept.append(value)
    return kept


def free_note(free: bool) -> list[Line2D]:
    """A legend entry that explains the mark † where validation labels were free."""
    return [Line2D([], [], ls="", label=FREE)] if free else []
