"""``schedules_against_depth``: what it costs not to train all levels together, target by target.

One figure for targets of opposite kinds: on one, training level by level costs a factor, on the
other it needs a number of samples of another order.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.series import list_validation_notes, make_nstar_series
from analysis.style import COLOURS, MARKERS, LineStyle
from analysis.swept_lines import find_following_depth

ORDER = 15
SCHEDULE = "config.schedule.name"
CAPTION = (
    "n* of every schedule over the smallest n* of any schedule at the same depth and ε. "
    "Bars: 95 % posterior intervals of n*, over the same number; open markers with arrows: not "
    "reached."
)


def schedules_against_depth(evidence: Evidence) -> Iterator[Chart]:
    """n* of every schedule over the best of them against L, a panel per target and ε.

    Where a study trained networks on several targets by several schedules at several depths.
    """
    rows = _select_cells(evidence)
    if rows["target"].nunique() < 2:
        return
    schedules = sorted(rows["schedule"].unique())
    styles = {
        name: LineStyle(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], "-")
        for i, name in enumerate(schedules)
    }
    columns = []
    for (target, eps), cells in rows.groupby(["target", "eps"]):
        depths = sorted(cells["L"].unique())
        x = Axis("depth L", log=False, ticks={float(L): str(L) for L in depths})
        y = Axis("n* over that of the best schedule")
        columns.append([Panel(_make_series(cells, styles), x, y, f"{target}, ε = {eps:g}")])
    yield Chart(
        "schedules-by-depth",
        CAPTION,
        columns,
        same_y=True,
        notes=list_validation_notes(rows),
    )


def _select_cells(evidence: Evidence) -> pd.DataFrame:
    """Cells of trained networks with their ``schedule`` and n* over the best at each ε.

    Of a target whose d does not follow L, those at the largest d.
    """
    nstar = evidence.nstar
    if SCHEDULE not in evidence.trainings or nstar.empty:
        return pd.DataFrame(columns=["target"])
    schedules = evidence.trainings.groupby("cell_id")[SCHEDULE].first()
    rows = nstar.assign(
        schedule=nstar["cell_id"].map(schedules), follows=find_following_depth(nstar)
    )
    largest = rows.groupby("target")["d"].transform("max")
    rows = rows[rows["schedule"].notna() & (rows["follows"] | (rows["d"] == largest))]
    rows = rows[rows["nstar"].notna()]
    groups = rows.groupby(["target", "eps"])
    is_swept = (groups["L"].transform("nunique") > 1) & (
        groups["schedule"].transform("nunique") > 1
    )
    rows = rows[is_swept]
    best = rows.groupby(["target", "eps", "L"])["nstar"].transform("min")
    ratios = {name: rows[name] / best for name in ("nstar", "lo", "hi", "largest_n")}
    return rows.assign(**ratios)


def _make_series(cells: pd.DataFrame, styles: dict[str, LineStyle]) -> list[Series]:
    """The points of every schedule and a line through them."""
    series = []
    for rank, (schedule, style) in enumerate(styles.items()):
        rows = cells[cells["schedule"] == schedule].sort_values("L")
        if rows.empty:
            continue
        offset = 0.04 * (rank - (len(styles) - 1) / 2)
        points = make_nstar_series(rows, "L", style, schedule, offset=offset)
        reached = points.data[points.data["mark"].isin(("", "open"))]
        series += [Series(schedule, style, reached[["x", "y"]], "line"), points]
    return series
