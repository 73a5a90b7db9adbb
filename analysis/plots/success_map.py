"""``success_map``: where training succeeds, against the information gap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from analysis.cells import rows_of
from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.style import Look

ORDER = 14


def success_map(evidence: Evidence, risk: float) -> Iterator[Chart]:
    """Share of trainings that end at or below ``risk`` against the gap between neighbouring levels,
    (alpha_L / alpha_2)^(1 / (L - 2)), a panel per learner width and a line per method, with Wilson
    intervals."""
    rows = rows_of(evidence)
    rows = rows[rows["L"] > 2]
    if rows.empty or "config.learner.widths" not in rows:
        return
    gap = [
        (alpha[-1] / alpha[0]) ** (1 / (L - 2))
        for alpha, L in zip(rows["alpha"], rows["L"], strict=True)
    ]
    rows = rows.assign(
        gap=np.round(gap, 3), widths=rows["config.learner.widths"].fillna("the target's")
    )
    for (target, L, d), own in rows.groupby(["target", "L", "d"]):
        if own["gap"].nunique() < 2:
            continue
        axis = Axis(
            "information gap α_{l+1} / α_l",
            ticks={g: f"{g:g}" for g in sorted(own["gap"].unique())},
            range=(own["gap"].min() / 1.3, own["gap"].max() * 1.3),
        )
        share = Axis(f"share with risk ≤ {risk:g}", log=False, range=(-0.05, 1.05))
        columns = [
            [
                Panel(
                    [
                        _series(rows, method, evidence.looks[method], risk)
                        for method, rows in cell.groupby("method")
                    ],
                    axis,
                    share,
                    f"widths p = {widths}",
                )
            ]
            for widths, cell in own.groupby("widths")
        ]
        caption = (
            f"Share of trainings that reach a relative risk of {risk:g}, {target}, L = {L}, d = {d}, against the information gap "
            "(right of 1: higher levels weigh more). Bars: 95 % Wilson intervals."
        )
        yield Chart(f"success-{target}-L{L}-d{d}", caption, columns, (2.6,), same_y=True)


def _series(rows: pd.DataFrame, method: str, look: Look, risk: float) -> Series:
    points = []
    for gap, own in rows.groupby("gap"):
        good, count = int((own["risk"] <= risk).sum()), len(own)
        interval = stats.binomtest(good, count).proportion_ci(0.95, "wilson")
        points.append(
            {
                "x": gap,
                "y": good / count,
                "lo": interval.low,
                "hi": interval.high,
                "note": f"{good} of {count}",
            }
        )
    return Series(method, look, pd.DataFrame(points), "points", method)
