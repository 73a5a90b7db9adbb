"""``success_map``: where training succeeds, against the information gap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from analysis.cells import select_alpha_rows
from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.style import LineStyle

ORDER = 14
CAPTION = (
    "Share of trainings that reach a relative risk of {risk:g}, {target}, L = {L}, d = {d}, "
    "against the information gap (right of 1, higher levels weigh more). Bars: 95 % Wilson "
    "intervals."
)


def success_map(evidence: Evidence, risk: float) -> Iterator[Chart]:
    """Share of trainings that end at or below ``risk``, against the information gap.

    The gap between neighbouring levels is (alpha_L / alpha_2)^(1 / (L - 2)). A panel per learner
    width and a series per method, with Wilson intervals.
    """
    rows = select_alpha_rows(evidence)
    rows = rows[rows["L"] > 2]
    if rows.empty or "config.learner.widths" not in rows:
        return
    widths = rows["config.learner.widths"].fillna("the target's")
    rows = rows.assign(gap=_compute_gaps(rows), widths=widths)
    for (target, L, d), group in rows.groupby(["target", "L", "d"]):
        if group["gap"].nunique() < 2:
            continue
        yield Chart(
            f"success-{target}-L{L}-d{d}",
            CAPTION.format(risk=risk, target=target, L=L, d=d),
            _make_columns(group, risk, evidence),
            (2.6,),
            same_y=True,
        )


def _compute_gaps(rows: pd.DataFrame) -> np.ndarray:
    """The geometric mean of alpha_{l+1} / alpha_l of every row."""
    pairs = zip(rows["alpha"], rows["L"], strict=True)
    return np.round([(alpha[-1] / alpha[0]) ** (1 / (L - 2)) for alpha, L in pairs], 3)


def _make_columns(rows: pd.DataFrame, risk: float, evidence: Evidence) -> list[list[Panel]]:
    """A panel per learner width."""
    gaps = rows["gap"]
    x = Axis(
        "information gap α_{l+1} / α_l",
        ticks={gap: f"{gap:g}" for gap in sorted(gaps.unique())},
        range=(gaps.min() / 1.3, gaps.max() * 1.3),
    )
    y = Axis(f"share with risk ≤ {risk:g}", log=False, range=(-0.05, 1.05))
    columns = []
    for widths, group in rows.groupby("widths"):
        series = [
            _make_series(trainings, method, evidence.styles[method], risk)
            for method, trainings in group.groupby("method")
        ]
        columns.append([Panel(series, x, y, f"widths p = {widths}")])
    return columns


def _make_series(rows: pd.DataFrame, method: str, style: LineStyle, risk: float) -> Series:
    """The share of successes of one method at every gap."""
    points = []
    for gap, group in rows.groupby("gap"):
        successes, count = int((group["risk"] <= risk).sum()), len(group)
        interval = stats.binomtest(successes, count).proportion_ci(0.95, "wilson")
        points.append(
            {
                "x": gap,
                "y": successes / count,
                "lo": interval.low,
                "hi": interval.high,
                "note": f"{successes} of {count}",
            }
        )
    return Series(method, style, pd.DataFrame(points), "points", method)
