"""``nstar_against_depth``: n* against the depth L."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.series import (
    describe_n,
    list_validation_notes,
    make_depth_axis,
    make_nstar_series,
    mark_free_validation,
)
from analysis.swept_lines import VARIES

ORDER = 20
CAPTION = (
    "n* against depth L, {target}. Bars: 95 % posterior intervals; open markers with arrows: not "
    "reached."
)


def nstar_against_depth(evidence: Evidence) -> Iterator[Chart]:
    """n* against L, a panel per (d, eps), where a study measured more than one L at that d.

    Where d follows L, one panel per eps holds all d.
    """
    for target, rows in evidence.depth.groupby("target") if len(evidence.depth) else []:
        places = rows[["fixed_d", "eps"]].drop_duplicates()
        columns = []
        for d, eps in places.itertuples(index=False):
            cells = rows[(rows["fixed_d"] == d) & (rows["eps"] == eps)]
            label = Axis(f"n* ({describe_n(cells)})")
            series = _make_series(cells, evidence)
            title = f"ε = {eps:g}" if d == VARIES else f"d = {d}, ε = {eps:g}"
            columns.append([Panel(series, make_depth_axis(cells), label, title)])
        yield Chart(
            f"depth-{target}",
            CAPTION.format(target=target),
            columns,
            (3.0,),
            same_y=True,
            notes=list_validation_notes(rows),
        )


def _make_series(rows: pd.DataFrame, evidence: Evidence) -> list[Series]:
    """The points of every line, and a line through those that are reached."""
    series = []
    lines = sorted(rows["line"].unique())
    for rank, line in enumerate(lines):
        cells, style = rows[rows["line"] == line], evidence.styles[line]
        legend = line + mark_free_validation(cells)
        offset = 0.05 * (rank - (len(lines) - 1) / 2)
        points = make_nstar_series(cells, "L", style, legend, offset=offset)
        reached = points.data[points.data["mark"].isin(("", "open"))]
        series += [Series(line, style, reached[["x", "y"]], "line"), points]
    return series
