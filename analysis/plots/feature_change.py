"""``feature_change``: how much training deeper levels changes the levels trained before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.correction import order_phases, select_largest_n
from analysis.evidence import Evidence
from analysis.style import COLOURS, MARKERS, LineStyle

ORDER = 41
TITLES = {"correlation": "correlation of units with themselves", "cka": "linear CKA"}
"""Similarity → title."""
CAPTION = (
    "What training deeper levels changes in those below, {target}, at the largest n: similarity of "
    "each level's representation with that before the phase. Medians with quartiles over seeds; "
    "1 means unchanged."
)


def feature_change(evidence: Evidence) -> Iterator[Chart]:
    """Similarity of every level before and after each phase (``probe=feature_change``).

    Median over seeds, of the phases in which the level existed already; a row per similarity, a
    column per line, at the largest n of each cell.
    """
    table = evidence.trainings
    stored = [name for name in table if _is_similarity(name) and table[name].notna().any()]
    if not stored:
        return
    probed = select_largest_n(table[table[stored].notna().any(axis=1)])
    for target, rows in probed.groupby("target"):
        columns = []
        for line, group in sorted(rows.groupby("line")):
            panels = _make_panels(group, stored, line)
            if panels:
                columns.append(panels)
        if columns:
            caption = CAPTION.format(target=target)
            name = f"change-{target}"
            yield Chart(name, caption, columns, (2.4, 2.4), max_columns=2, same_y=True)


def _is_similarity(column: str) -> bool:
    """Whether a column is ``<phase>/<similarity>/<level>``."""
    return column.count("/") == 2 and column.split("/")[1] in TITLES


def _make_panels(rows: pd.DataFrame, columns: Sequence[str], line: str) -> list[Panel]:
    """A panel per similarity that has values; the title is on the first one."""
    phases = order_phases(rows, columns)
    panels: list[Panel] = []
    for similarity, title in TITLES.items():
        first_phase: dict[int, int] = {}
        series: list[Series] = []
        for number, phase in enumerate(phases):
            data = _summarise_phase(rows, columns, f"{phase}/{similarity}/", number, first_phase)
            if len(data):
                colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
                style = LineStyle(colour, marker, "-")
                series.append(Series(phase, style, data, "line"))
                series.append(Series(phase, style, data, "points", phase))
        if series:
            axis = _make_level_axis(sorted(first_phase))
            panels.append(Panel(series, axis, Axis(title, log=False), "" if panels else line))
    return panels


def _summarise_phase(
    rows: pd.DataFrame,
    columns: Sequence[str],
    prefix: str,
    phase: int,
    first_phase: dict[int, int],
) -> pd.DataFrame:
    """Median and quartiles of the levels that existed before this phase.

    ``first_phase``: level → the phase in which it appeared, kept up to date here.
    """
    levels = {int(name.removeprefix(prefix)): name for name in columns if name.startswith(prefix)}
    points = []
    for level, name in sorted(levels.items()):
        values = rows[name].astype(float).dropna()
        if values.empty or first_phase.setdefault(level, phase) == phase:
            continue
        low, median, high = values.quantile([0.25, 0.5, 0.75])
        points.append({"x": float(level), "y": median, "lo": low, "hi": high})
    return pd.DataFrame(points)


def _make_level_axis(levels: Sequence[int]) -> Axis:
    ticks = {float(level): str(level) for level in levels}
    return Axis("level", log=False, ticks=ticks, range=(levels[0] - 0.4, levels[-1] + 0.4))
