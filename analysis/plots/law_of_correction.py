"""``law_of_correction``: the error of level 2 trained alone against its prediction, and errors
after every phase against the bound of backward feature correction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.cells import alpha_ratio, rows_of
from analysis.chart import GUIDE, Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.style import COLOURS, MARKERS, Look

ORDER = 13
MEASURED, PREDICTED = "level2/gram/2", "level2/predicted/2"


def law_of_correction(evidence: Evidence) -> Iterator[Chart]:
    """Where a study has predictions: measured and predicted Gram error of level 2 alone against
    alpha_3 / alpha_2, and the Gram error of every lower level after phase ``level l`` against
    alpha_{l+1} / alpha_lower, whose order of magnitude the paper bounds it by."""
    rows = rows_of(evidence)
    if not {MEASURED, PREDICTED} <= set(rows):
        return
    for (target, d), own in rows.groupby(["target", "d"]):
        own = own[own[PREDICTED].notna()]
        panels = [
            _law(own[own["L"] == L].assign(x=lambda t: alpha_ratio(t, [3, 2])), L, evidence)
            for L in sorted(own["L"].unique())
        ]
        panels = [panel for panel in panels if panel is not None]
        bound = _bound(own)
        if bound is not None:
            panels.append(bound)
        if panels:
            caption = (
                f"The law of the correction, {target}, d = {d}. Gram error of level 2 trained alone: medians with quartiles and the "
                "closed form from E[y(xxᵀ−I)]. Right: Gram errors after each phase; dotted: α_{l+1}/α_lower itself (the paper's "
                "bound holds up to a constant)."
            )
            yield Chart(
                f"law-{target}-d{d}", caption, [[panel] for panel in panels], (2.8,), most_columns=2
            )


def _law(rows: pd.DataFrame, L: int, evidence: Evidence) -> Panel | None:
    if rows["x"].nunique() < 2:
        return None
    series = []
    for method, own in rows.groupby("method"):
        points = own.groupby("x")[MEASURED].quantile([0.25, 0.5, 0.75]).unstack()
        data = pd.DataFrame(
            {
                "x": points.index,
                "y": points[0.5].to_numpy(),
                "lo": points[0.25].to_numpy(),
                "hi": points[0.75].to_numpy(),
            }
        )
        closed = own.groupby("x")[PREDICTED].median()
        predicted = pd.DataFrame({"x": closed.index, "y": closed.to_numpy()})
        look = evidence.looks[method]
        series += [
            Series(
                f"{method}: predicted",
                replace(look, marker="", dash="--"),
                predicted,
                "line",
                "predicted in closed form",
            ),
            Series(method, replace(look, dash=""), data, "points", f"{method}: trained"),
        ]
    return Panel(
        series, Axis("α_3 / α_2"), Axis("Gram error of level 2 alone"), f"level 2 alone, L = {L}"
    )


def _bound(rows: pd.DataFrame) -> Panel | None:
    """Medians of the Gram error of each level j after phase ``level l``, j <= l < L, against
    alpha_{l+1} / alpha_j."""
    series, ends = [], []
    looks = iter(Look(colour, marker, "") for colour, marker in zip(COLOURS, MARKERS, strict=False))
    for L in sorted(rows["L"].unique()):
        own = rows[rows["L"] == L]
        for after in range(2, int(L)):
            for level in range(2, after + 1):
                column = f"level{after}/gram/{level}"
                if column not in own or own[column].notna().sum() == 0:
                    continue
                points = (
                    own.assign(x=alpha_ratio(own, [after + 1, level])).groupby("x")[column].median()
                )
                look = next(looks, GUIDE)
                name = f"level {level} after phase {after}, L = {L}"
                series.append(
                    Series(
                        name,
                        look,
                        pd.DataFrame({"x": points.index, "y": points.to_numpy()}),
                        "points",
                        name,
                    )
                )
                ends += list(points.index)
    if len(set(ends)) < 2:
        return None
    span = np.array([min(ends), max(ends)])
    series.append(
        Series("bound", GUIDE, pd.DataFrame({"x": span, "y": span}), "line", "α_{l+1} / α_lower")
    )
    return Panel(series, Axis("α_{l+1} / α_lower"), Axis("Gram error"), "after each phase")
