"""``feature_change``: how much the training of deeper levels changes the representation of those
that were trained before."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.correction import at_largest_n, phases_in_order
from analysis.evidence import Evidence
from analysis.style import COLOURS, MARKERS, Look

ORDER = 41
SHOWN = {"correlation": "correlation of units with themselves", "cka": "linear CKA"}


def feature_change(evidence: Evidence) -> Iterator[Chart]:
    """Median over seeds of the similarity of every level before and after each phase
    (``probe=feature_change``), of the phases in which the level was there already; a row per
    similarity, a column per line, at the largest n of each cell."""
    table = evidence.trainings
    known = [
        name
        for name in table
        if name.count("/") == 2 and name.split("/")[1] in SHOWN and table[name].notna().any()
    ]
    if not known:
        return
    for target, rows in at_largest_n(table[table[known].notna().any(axis=1)]).groupby("target"):
        columns = [
            panels
            for line, own in sorted(rows.groupby("line"))
            if (panels := _panels(own, known, line))
        ]
        if columns:
            caption = (
                f"What training deeper levels changes in those below, {target}, at the largest n: similarity of each level's "
                "representation with that before the phase. Medians with quartiles over seeds; 1: unchanged."
            )
            yield Chart(
                f"change-{target}", caption, columns, (2.4, 2.4), most_columns=2, same_y=True
            )


def _panels(rows: pd.DataFrame, known: list[str], line: str) -> list[Panel]:
    phases = phases_in_order(rows, known)
    panels = []
    for what, title in SHOWN.items():
        first: dict[int, int] = {}
        series = []
        for place, phase in enumerate(phases):
            points = []
            for level, name in sorted(
                (int(name.rpartition("/")[2]), name)
                for name in known
                if name.startswith(f"{phase}/{what}/")
            ):
                values = rows[name].astype(float).dropna()
                if values.empty or first.setdefault(level, place) == place:
                    continue
                low, median, high = values.quantile([0.25, 0.5, 0.75])
                points.append({"x": float(level), "y": median, "lo": low, "hi": high})
            if points:
                look = Look(COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], "-")
                series += [
                    Series(phase, look, pd.DataFrame(points), "line"),
                    Series(phase, look, pd.DataFrame(points), "points", phase),
                ]
        if series:
            levels = sorted(first)
            axis = Axis(
                "level",
                log=False,
                ticks={level: str(level) for level in levels},
                range=(levels[0] - 0.4, levels[-1] + 0.4),
            )
            panels.append(Panel(series, axis, Axis(title, log=False), line if not panels else ""))
    return panels
