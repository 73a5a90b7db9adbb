"""``loss_decomposition``: the error of a mean-field network and its parts during training."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.style import COLOURS, MARKERS, LineStyle

ORDER = 22
PARTS = {
    "loss": "risk",
    "perfect": "perfect first layer",
    "discretisation": "discretisation",
    "cross": "|cross term|",
    "norm_sd": "sd(F/‖x‖)/mean",
}
"""Column of the probe → text."""
SMALLEST = 1e-7
"""Smaller values are drawn here."""
CAPTION = (
    "The risk E(f − f*)²/Var f* and its parts during training (medians over seeds): the risk of "
    "the same network with a perfect first layer, the discretisation error of the first layer, and "
    "the size of their cross term."
)


def loss_decomposition(evidence: Evidence) -> Iterator[Chart]:
    """The risk, its three parts and the relative spread of F/‖x‖ against the step.

    Medians over seeds, a panel per line at its largest d, where the mean-field probe was evaluated.
    """
    trace = evidence.traces
    if any(name not in trace for name in PARTS):
        return
    columns = []
    for line, rows in trace.dropna(subset=["loss"]).groupby("line"):
        rows = rows[(rows["d"] == rows["d"].max()) & (rows["step"] > 0)]
        medians = rows.groupby("step")[list(PARTS)].median().astype(float).abs()
        medians = medians.clip(lower=SMALLEST)
        series = []
        for number, (name, text) in enumerate(PARTS.items()):
            data = pd.DataFrame({"x": medians.index, "y": medians[name].to_numpy()})
            style = LineStyle(COLOURS[number], MARKERS[number], "-")
            series.append(Series(text, style, data, "curve", text))
        title = f"{line}, d = {rows['d'].iloc[0]}"
        columns.append([Panel(series, Axis("step"), Axis("error over Var f*"), title)])
    if columns:
        yield Chart("loss-decomposition", CAPTION, columns, (2.8,))
