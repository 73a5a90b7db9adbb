"""``law_of_correction``: errors of the lower levels against the laws that they follow.

The error of level 2 trained alone against its prediction, and errors after every phase against the
bound of backward feature correction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd

from analysis.cells import compute_alpha_ratio, select_alpha_rows
from analysis.chart import GUIDE, Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.style import COLOURS, MARKERS, LineStyle

ORDER = 13
MEASURED, PREDICTED = "level2/gram/2", "level2/predicted/2"
CAPTION = (
    "The law of the correction, {target}, d = {d}. Gram error of level 2 trained alone: medians "
    "with quartiles and the closed form from E[y(xxᵀ−I)]. Last panel: Gram errors after each "
    "phase; dotted: α_{{l+1}}/α_lower itself (the paper's bound holds up to a constant)."
)


def law_of_correction(evidence: Evidence) -> Iterator[Chart]:
    """Gram errors against ratios of alpha, where a study has predictions.

    Measured and predicted error of level 2 alone against alpha_3 / alpha_2, and the error of every
    lower level after phase ``level l`` against alpha_{l+1} / alpha_lower, by which the paper bounds
    its order of magnitude.
    """
    rows = select_alpha_rows(evidence)
    if not {MEASURED, PREDICTED} <= set(rows):
        return
    for (target, d), group in rows.groupby(["target", "d"]):
        group = group[group[PREDICTED].notna()]
        panels = [*_make_law_panels(group, evidence), *_make_bound_panel(group)]
        if panels:
            caption = CAPTION.format(target=target, d=d)
            columns = [[panel] for panel in panels]
            yield Chart(f"law-{target}-d{d}", caption, columns, (2.8,), max_columns=2)


def _make_law_panels(rows: pd.DataFrame, evidence: Evidence) -> list[Panel]:
    """Level 2 alone, a panel per L with at least two ratios."""
    panels = []
    x, y = Axis("α_3 / α_2"), Axis("Gram error of level 2 alone")
    for L in sorted(rows["L"].unique()):
        group = rows[rows["L"] == L]
        group = group.assign(x=compute_alpha_ratio(group, [3, 2]))
        if group["x"].nunique() < 2:
            continue
        series: list[Series] = []
        for method, trainings in group.groupby("method"):
            series += _make_law_series(trainings, method, evidence.styles[method])
        panels.append(Panel(series, x, y, f"level 2 alone, L = {L}"))
    return panels


def _make_law_series(rows: pd.DataFrame, method: str, style: LineStyle) -> list[Series]:
    """Predicted and measured Gram error of level 2 of one method."""
    quartiles = rows.groupby("x")[MEASURED].quantile([0.25, 0.5, 0.75]).unstack()
    data = pd.DataFrame(
        {
            "x": quartiles.index,
            "y": quartiles[0.5].to_numpy(),
            "lo": quartiles[0.25].to_numpy(),
            "hi": quartiles[0.75].to_numpy(),
        }
    )
    medians = rows.groupby("x")[PREDICTED].median()
    predicted = pd.DataFrame({"x": medians.index, "y": medians.to_numpy()})
    dashed, text = replace(style, marker="", dash="--"), "predicted in closed form"
    return [
        Series(f"{method}: predicted", dashed, predicted, "line", text),
        Series(method, replace(style, dash=""), data, "points", f"{method}: trained"),
    ]


def _make_bound_panel(rows: pd.DataFrame) -> list[Panel]:
    """Medians of the Gram error of each level j after phase ``level l``, j <= l < L.

    Against alpha_{l+1} / alpha_j; no panel without two ratios.
    """
    series = _make_bound_series(rows)
    ratios = list(chain.from_iterable(one.data["x"] for one in series))
    if len(set(ratios)) < 2:
        return []
    span = np.array([min(ratios), max(ratios)])
    identity = pd.DataFrame({"x": span, "y": span})
    series.append(Series("bound", GUIDE, identity, "line", "α_{l+1} / α_lower"))
    return [Panel(series, Axis("α_{l+1} / α_lower"), Axis("Gram error"), "after each phase")]


def _make_bound_series(rows: pd.DataFrame) -> list[Series]:
    """One series per L, phase and lower level that was measured."""
    styles = (LineStyle(*pair, "") for pair in zip(COLOURS, MARKERS, strict=False))
    series = []
    for L in sorted(rows["L"].unique()):
        group = rows[rows["L"] == L]
        for phase in range(2, int(L)):
            for level in range(2, phase + 1):
                column = f"level{phase}/gram/{level}"
                if column not in group or group[column].notna().sum() == 0:
                    continue
                ratios = compute_alpha_ratio(group, [phase + 1, level])
                medians = group.groupby(ratios)[column].median()
                data = pd.DataFrame({"x": medians.index, "y": medians.to_numpy()})
                name = f"level {level} after phase {phase}, L = {L}"
                series.append(Series(name, next(styles, GUIDE), data, "points", name))
    return series
