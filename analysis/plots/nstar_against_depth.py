"""``nstar_against_depth``: n* against the depth L."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
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
from analysis.style import LineStyle
from analysis.swept_lines import VARIES, select_axis

ORDER = 20
CAPTION = (
    "n* against depth L, {target}. Bars: 95 % posterior intervals; open markers with arrows: not "
    "reached."
)
LOCAL_CAPTION = (
    " Below: the factor per level between neighbouring L with its 95 % interval; a line is "
    "exponential in L where it is constant."
)


def nstar_against_depth(evidence: Evidence) -> Iterator[Chart]:
    """n* against L, a panel per (d, eps), where a study measured more than one L at that d.

    Where d follows L, one panel per eps holds all d. Below are the factors per level between
    neighbouring L.
    """
    local = select_axis(evidence.local, "L")
    local = local[np.isfinite(local["rate"].astype(float))] if len(local) else local
    for target, rows in evidence.depth.groupby("target") if len(evidence.depth) else []:
        factors = local[local["target"] == target] if len(local) else local
        places = rows[["fixed_d", "eps"]].drop_duplicates()
        columns = []
        for d, eps in places.itertuples(index=False):
            cells = rows[(rows["fixed_d"] == d) & (rows["eps"] == eps)]
            label = Axis(f"n* ({describe_n(cells)})")
            series = _make_series(cells, evidence)
            title = f"ε = {eps:g}" if d == VARIES else f"d = {d}, ε = {eps:g}"
            x = make_depth_axis(cells)
            stack = [Panel(series, x, label, title)]
            if len(factors):
                steps = factors[(factors["d"] == d) & np.isclose(factors["eps"], eps)]
                lower = _make_factors(steps, cells, evidence)
                stack.append(Panel(lower, x, Axis("factor per level")))
            columns.append(stack)
        yield Chart(
            f"depth-{target}",
            CAPTION.format(target=target) + (LOCAL_CAPTION if len(factors) else ""),
            columns,
            (3.0, 1.5) if len(factors) else (3.0,),
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


def _make_factors(steps: pd.DataFrame, cells: pd.DataFrame, evidence: Evidence) -> list[Series]:
    """The factors per level of every line, between the depths that they compare."""
    series = []
    lines = sorted(cells["line"].unique())
    for rank, line in enumerate(lines):
        offset = 0.05 * (rank - (len(lines) - 1) / 2)
        part = steps[steps["line"] == line]
        series.append(_make_local_series(part, line, evidence.styles[line], offset))
    return series


def _make_local_series(steps: pd.DataFrame, line: str, style: LineStyle, offset: float) -> Series:
    data = pd.DataFrame(
        {
            "x": (steps["L_lo"] + steps["L_hi"]) / 2 + offset,
            "y": np.exp(steps["rate"]),
            "lo": np.exp(steps["rate_lo"]),
            "hi": np.exp(steps["rate_hi"]),
            "left": steps["L_lo"],
            "right": steps["L_hi"],
        }
    )
    return Series(line, style, data)
