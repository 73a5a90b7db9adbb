"""n* against size, one figure per target with a line per method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.field_table.entries import Entry
from analysis.field_table.requests import ColumnRequest, RowRequest
from analysis.field_table.wording import describe_interval, describe_value
from analysis.figures import NamedFigure
from analysis.series import choose_ticks, make_nstar_series
from analysis.style import LineStyle, assign_line_styles

AXIS_LABELS = {"d": "input dimension d", "L": "depth L"}
CAPTION = (
    "n* at a relative risk of {eps:g} against {axis} on {row}. Bars: 95 % intervals of each cell "
    "alone; open markers with arrows: not reached (up) or reached already at the smallest n "
    "(down); lines: fits to all cells together."
)


def draw_row(
    row: RowRequest,
    entries: Sequence[Entry],
    columns: Sequence[ColumnRequest],
    styles: dict[str, LineStyle],
    eps: float,
) -> NamedFigure | None:
    """The figure of one target; None where nothing was measured."""
    titles = {column.name: column.title for column in columns}
    series: list[Series] = []
    sizes: set[float] = set()
    for entry in entries:
        if entry.fit is None or entry.fit.nstar.empty:
            continue
        sizes |= set(entry.fit.nstar[row.axis].astype(float))
        series += _make_line(row, entry, titles[entry.column], styles)
    if not series:
        return None
    is_depth = row.axis == "L"
    ticks = {size: f"{size:g}" for size in sorted(sizes)} if is_depth else choose_ticks(sizes)
    x = Axis(AXIS_LABELS[row.axis], log=not is_depth, ticks=ticks)
    panel = Panel(series, x, Axis("n* (labels, validation included)"), row.title)
    caption = CAPTION.format(eps=eps, axis=row.axis, row=row.title)
    chart = Chart(row.name, caption, [[panel]], (3.6,), "column")
    return NamedFigure(row.name, chart)


def choose_styles(columns: Sequence[ColumnRequest]) -> dict[str, LineStyle]:
    """One look per method, the same in all figures."""
    titles = [column.title for column in columns]
    return assign_line_styles(pd.DataFrame({"method": titles, "line": titles}))


def _make_line(
    row: RowRequest, entry: Entry, title: str, styles: dict[str, LineStyle]
) -> list[Series]:
    """The n* of one method, and the fitted line over the sizes that bracket it."""
    fit, style = entry.fit, styles[title]
    assert fit is not None
    largest = entry.trainings.groupby(row.axis)["n"].max()
    table = fit.nstar.assign(line=title, largest_n=fit.nstar[row.axis].map(largest))
    legend = f"{title}: {describe_value(entry)} {describe_interval(entry)}".strip()
    series = [make_nstar_series(table, row.axis, style, legend)]
    is_closed = (table["censored"] == "") & table["nstar"].notna()
    bracketed = table.loc[is_closed, row.axis].astype(float)
    if np.isfinite(fit.exponent) and bracketed.nunique() > 1:
        line = fit.line(np.geomspace(bracketed.min(), bracketed.max(), 20).tolist())
        data = pd.DataFrame({"x": line[row.axis], "y": line["nstar"]})
        series.append(Series(f"{title}: fit", style, data, "line"))
    return series
