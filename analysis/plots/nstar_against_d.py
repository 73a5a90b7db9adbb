"""``nstar_against_d``: the main figure of this program, one per target and depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.line_crossing import classify_crossing
from analysis.series import (
    choose_ticks,
    describe_n,
    format_exponent,
    list_validation_notes,
    make_nstar_series,
    mark_free_validation,
    spread_lines,
)
from analysis.style import LineStyle
from analysis.swept_lines import VARIES, find_following_depth, select_axis
from analysis.theory import load_predictions, make_guides

ORDER = 10
SHIFT = 1.012
"""Factor in d between the points of neighbouring lines."""
CAPTION = (
    "n* against input dimension d, {target}, {depth}. Bars: 95 % posterior intervals of each cell "
    "alone; open markers with arrows: not reached (up) or reached already at the smallest n "
    "(down); open without arrow: beyond the largest n; lines: power laws, from the posterior of "
    "all cells together, censored ones included; grey: theory, as a slope where its constants give "
    "no bound at these d."
)
FOLLOWING = "with the depth L that goes with every d"
LOCAL_CAPTION = (
    " Below: local exponent Δ log n* / Δ log d between neighbouring d with its 95 % interval; a "
    "power law is level there."
)


@dataclass(frozen=True)
class _Tables:
    """What one figure is drawn from: the tables of one target and depth."""

    exponents: pd.DataFrame
    local: pd.DataFrame
    theory: pd.DataFrame


def nstar_against_d(evidence: Evidence) -> Iterator[Chart]:
    """n* against d, a column per eps, and below it the local exponents.

    With intervals, arrows where n* is censored, and fitted lines.
    """
    nstar = evidence.nstar
    depth = nstar["L"].astype(object).mask(find_following_depth(nstar), VARIES)
    for (target, L), rows in nstar.groupby(["target", depth], sort=False):
        if rows["d"].nunique() < 2:
            continue
        tables = _select_tables(evidence, target, L)
        columns = [
            _make_stack(group, eps, tables, evidence)
            for eps, group in sorted(rows.groupby("eps"), reverse=True)
        ]
        caption = CAPTION.format(target=target, depth=f"L = {L}" if L != VARIES else FOLLOWING)
        yield Chart(
            f"nstar-{target}-L{L}",
            caption + LOCAL_CAPTION if len(tables.local) else caption,
            columns,
            (3.0, 1.7) if len(tables.local) else (4.0,),
            "column",
            "method: exponent of d [95 % interval]",
            same_y=True,
            notes=list_validation_notes(rows),
        )


def _select_tables(evidence: Evidence, target: str, L: int | str) -> _Tables:
    exponents, local = (select_axis(t, "d") for t in (evidence.exponents, evidence.local))
    exponents = exponents[(exponents["target"] == target) & (exponents["L"] == L)]
    local = local[(local["target"] == target) & (local["L"] == L)]
    local = local[np.isfinite(local["exponent"])]
    trainings = evidence.trainings
    if L != VARIES and len(trainings):
        trainings = trainings[trainings["L"] == L]
    return _Tables(exponents, local, load_predictions(trainings, target))


def _make_stack(rows: pd.DataFrame, eps: float, tables: _Tables, evidence: Evidence) -> list[Panel]:
    """n* at one eps, and below it the local exponents where there are any."""
    upper: list[Series] = []
    lower: list[Series] = []
    lines = sorted(rows["line"].unique())
    for line, shift in zip(lines, spread_lines(len(lines), SHIFT), strict=True):
        group, style = rows[rows["line"] == line], evidence.styles[line]
        fit = _select_line(tables.exponents, line, eps)
        upper += _make_line(group, fit, style, shift)
        local = _select_line(tables.local, line, eps)
        lower.append(_make_local_series(local, line, style, shift**2))
    upper += make_guides(tables.theory, rows)
    ends = (rows["d"].min() / 1.12, rows["d"].max() * 1.12)
    x = Axis("input dimension d", ticks=choose_ticks(rows["d"]), range=ends)
    panels = [Panel(upper, x, Axis(f"n* ({describe_n(rows)})"), f"ε = {eps:g}")]
    if len(tables.local):
        y = Axis("local exponent", log=False, range=_choose_range(tables.local))
        panels.append(Panel(lower, x, y))
    return panels


def _select_line(table: pd.DataFrame, line: str, eps: float) -> pd.DataFrame:
    return table[(table["line"] == line) & np.isclose(table["eps"], eps)]


def _make_line(
    rows: pd.DataFrame, fit: pd.DataFrame, style: LineStyle, shift: float
) -> list[Series]:
    """n* of one line, and the fitted power law over the d that bracket it."""
    line = rows["line"].iloc[0]
    exponent = format_exponent(fit, classify_crossing(rows).crossing)
    legend = f"{line}{mark_free_validation(rows)}: {exponent}"
    series = [make_nstar_series(rows, "d", style, legend, shift)]
    bracketed = rows.loc[(rows["censored"] == "") & rows["nstar"].notna(), "d"]
    if len(fit) and np.isfinite(fit["exponent"].iloc[0]) and len(bracketed):
        d = np.array([bracketed.min(), bracketed.max()], float)
        n = fit["prefactor"].iloc[0] * d ** fit["exponent"].iloc[0]
        data = pd.DataFrame({"x": d, "y": n})
        series.append(Series(f"{line}: power law", style, data, "line"))
    return series


def _make_local_series(local: pd.DataFrame, line: str, style: LineStyle, shift: float) -> Series:
    """Δ log n* / Δ log d over each step of d as a level, and the interval at its middle."""
    middle = shift * np.sqrt((local["d_lo"] * local["d_hi"]).astype(float))
    data = pd.DataFrame(
        {
            "x": middle,
            "y": local["exponent"],
            "lo": local["lo"],
            "hi": local["hi"],
            "left": local["d_lo"],
            "right": local["d_hi"],
        }
    )
    return Series(line, style, data)


def _choose_range(local: pd.DataFrame) -> tuple[float, float]:
    """Range of the local exponents.

    All values, and intervals as far as they leave the values legible.
    """
    low, high = local["exponent"].min(), local["exponent"].max()
    room = max(0.6 * (high - low), 1.0)
    return max(low - room, local["lo"].min() - 0.2), min(high + room, local["hi"].max() + 0.2)
