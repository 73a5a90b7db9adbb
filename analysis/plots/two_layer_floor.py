"""``two_layer_floor``: trained two-layer networks above the error that none of them can beat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.chart import GUIDE, Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.path_norm import compute_certificates, find_norm_column, rebuild_target
from analysis.training_kinds import drop_confirming
from bfc.bounds.two_layer import bound_error

ORDER = 23
LOWEST = 1e-6
"""Smaller bounds are not drawn."""
CAPTION = (
    "Two-layer ReLU networks after training, against the certified lower bound of the error for "
    "any width (dotted)."
)


def two_layer_floor(evidence: Evidence) -> Iterator[Chart]:
    """Risk against path norm of every two-layer training, a panel per d.

    With the certified lower bound for every width as a dotted line; drawn where the radial probe
    measured path norms.
    """
    rows = evidence.trainings
    column = find_norm_column(rows) if len(rows) else None
    if column is None:
        return
    rows = drop_confirming(rows)
    rows = rows[rows[column].notna() & rows["risk"].notna()]
    x, y = Axis("path norm Σ|a|‖w‖ / √(2πd)"), Axis("relative risk")
    columns = []
    for d, group in rows.groupby("d"):
        series = [_make_bound_series(group, column)]
        for line, runs in group.groupby("line"):
            data = pd.DataFrame({"x": runs[column].astype(float), "y": runs["risk"].astype(float)})
            series.append(Series(line, evidence.styles[line], data, "points", line))
        columns.append([Panel(series, x, y, f"d = {d}")])
    yield Chart("two-layer-floor", CAPTION, columns, (2.4,), max_columns=3)


def _make_bound_series(rows: pd.DataFrame, column: str) -> Series:
    """The certified lower bound of the error over the range of the measured norms."""
    certificates = compute_certificates(rebuild_target(rows.iloc[0]))
    norms = np.geomspace(0.5 * rows[column].min(), 2 * rows[column].max(), 60)
    bounds = pd.DataFrame({"x": norms, "y": [bound_error(norm, certificates) for norm in norms]})
    visible = bounds[bounds["y"] > LOWEST]
    return Series("floor", GUIDE, visible, "line", "certified floor, every width")
