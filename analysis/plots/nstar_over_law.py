"""``nstar_over_law``: n* over a stated law of d; a method that follows the law is level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.reference_laws import get_law
from analysis.series import (
    choose_ticks,
    list_validation_notes,
    mark_free_validation,
    spread_lines,
)
from analysis.style import LineStyle

ORDER = 12
SHIFT = 1.015
"""Factor in d between the points of neighbouring lines."""
CAPTION = (
    "n* over a law of d. Bars: 95 % posterior intervals of each cell alone. Where the points are "
    "level, the law holds up to its constant. Claims about the law are judged by the median of the "
    "n* of single seeds instead."
)


def nstar_over_law(evidence: Evidence, laws: Mapping[str, str]) -> Iterator[Chart]:
    """One panel per law, of the methods that ``laws`` compares with it.

    ``laws``: method → name of a law in :mod:`analysis.reference_laws`. At the strictest eps at
    which any of the methods has an n*; medians with the interval of each cell.
    """
    nstar = evidence.nstar
    is_bracketed = (nstar["censored"] == "") & nstar["nstar"].notna()
    table = nstar[nstar["method"].isin(list(laws)) & is_bracketed]
    if table.empty:
        return
    eps = table["eps"].min()
    table = table[np.isclose(table["eps"], eps)]
    columns = []
    for name in dict.fromkeys(laws.values()):
        rows = table[table["method"].map(laws.get) == name]
        if len(rows):
            x = Axis("input dimension d", ticks=choose_ticks(rows["d"]))
            y = Axis(f"n* / ({name})", log=False)
            columns.append([Panel(_make_series(rows, name, evidence), x, y, f"ε = {eps:g}")])
    notes = list_validation_notes(table)
    yield Chart("over-law", CAPTION, columns, (2.6,), "column", notes=notes)


def _make_series(rows: pd.DataFrame, law: str, evidence: Evidence) -> list[Series]:
    """One series per line."""
    lines = sorted(rows["line"].unique())
    series = []
    for line, shift in zip(lines, spread_lines(len(lines), SHIFT), strict=True):
        cells = rows[rows["line"] == line].sort_values("d")
        series.append(_make_line(cells, line, law, shift, evidence.styles[line]))
    return series


def _make_line(cells: pd.DataFrame, line: str, law: str, shift: float, style: LineStyle) -> Series:
    """n* of one line over the law, with its intervals."""
    predict = get_law(law)
    places = zip(cells["d"], cells["degree"], strict=True)
    scale = np.array([predict(int(d), int(degree)) for d, degree in places])
    data = pd.DataFrame(
        {
            "x": cells["d"] * shift,
            "y": cells["nstar"].to_numpy(float) / scale,
            "lo": cells["lo"].to_numpy(float) / scale,
            "hi": cells["hi"].to_numpy(float) / scale,
        }
    )
    return Series(line, style, data, "points", line + mark_free_validation(cells))
