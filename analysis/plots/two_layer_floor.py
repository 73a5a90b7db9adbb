"""``two_layer_floor``: trained two-layer networks above the error that no two-layer network of
their path norm can beat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.chart import GUIDE, Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.path_norm import found, norm_column, target_of
from bfc.bounds.two_layer import error_floor

ORDER = 23


def two_layer_floor(evidence: Evidence) -> Iterator[Chart]:
    """Risk against path norm of every two-layer training, a panel per d, with the certified floor
    of every width as a dotted line. Drawn where the radial probe measured path norms."""
    rows = evidence.trainings
    name = norm_column(rows) if len(rows) else None
    if name is None:
        return
    rows = rows[rows[name].notna() & rows["risk"].notna() & (rows["kind"] != "confirmation")]
    columns = []
    for d, own in rows.groupby("d"):
        norms = np.geomspace(0.5 * own[name].min(), 2 * own[name].max(), 60)
        values = [error_floor(norm, found(target_of(own.iloc[0]))) for norm in norms]
        curve = pd.DataFrame({"x": norms, "y": values})
        series = [
            Series("floor", GUIDE, curve[curve["y"] > 1e-6], "line", "certified floor, every width")
        ]
        for line, runs in own.groupby("line"):
            data = pd.DataFrame({"x": runs[name].astype(float), "y": runs["risk"].astype(float)})
            series.append(Series(line, evidence.looks[line], data, "points", line))
        columns.append(
            [Panel(series, Axis("path norm Σ|a|‖w‖ / √(2πd)"), Axis("relative risk"), f"d = {d}")]
        )
    caption = "Two-layer ReLU networks after training, against the certified lower bound for any width (dotted)."
    yield Chart("two-layer-floor", caption, columns, (2.4,), most_columns=3)
