"""``loss_decomposition``: the error of a mean-field network and its parts during training."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.style import COLOURS, MARKERS, Look

ORDER = 22
PARTS = {
    "loss": "risk",
    "perfect": "perfect first layer",
    "discretisation": "discretisation",
    "cross": "|cross term|",
    "norm_sd": "sd(F/‖x‖)/mean",
}


def loss_decomposition(evidence: Evidence) -> Iterator[Chart]:
    """Medians over seeds against the step of the risk and its three parts, and of the relative
    spread of F/‖x‖; a panel per line at its largest d. Drawn where the mean-field probe looked."""
    looks = evidence.traces
    if any(name not in looks for name in PARTS):
        return
    columns = []
    for line, own in looks.dropna(subset=["loss"]).groupby("line"):
        own = own[(own["d"] == own["d"].max()) & (own["step"] > 0)]
        medians = own.groupby("step")[list(PARTS)].median().astype(float).abs().clip(lower=1e-7)
        series = []
        for k, (name, text) in enumerate(PARTS.items()):
            data = pd.DataFrame({"x": medians.index, "y": medians[name].to_numpy()})
            series.append(Series(text, Look(COLOURS[k], MARKERS[k], "-"), data, "curve", text))
        columns.append(
            [
                Panel(
                    series,
                    Axis("step"),
                    Axis("error over Var f*"),
                    f"{line}, d = {own['d'].iloc[0]}",
                )
            ]
        )
    if columns:
        caption = (
            "The risk E(f − f*)²/Var f* and its parts during training (medians over seeds): that of the same network with a perfect "
            "first layer, the discretisation error of the first layer, and the size of their cross term."
        )
        yield Chart("loss-decomposition", caption, columns, (2.8,))
