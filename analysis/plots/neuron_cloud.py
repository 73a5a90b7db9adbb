"""``neuron_cloud``: where the second-layer neurons of a mean-field network are, at several moments
of its training."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.plots.radial_profile import snapshots
from analysis.style import COLOURS, MARKERS, Look

ORDER = 21


def neuron_cloud(evidence: Evidence, moments: int = 5) -> Iterator[Chart]:
    """(w2, b2) of every kept neuron of the first seed, coloured by the moment, a panel per line at
    its largest d. Drawn where the mean-field probe kept neurons."""
    looks = evidence.traces
    numbers = sorted(
        {int(match.group(1)) for name in looks if (match := re.fullmatch(r"neuron/(\d+)/w2", name))}
    )
    if not numbers:
        return
    columns = []
    for line, own in looks.groupby("line"):
        own = own[(own["d"] == own["d"].max()) & own[f"neuron/{numbers[0]}/w2"].notna()]
        if own.empty:
            continue
        own = own[own["seed"] == own["seed"].min()].drop_duplicates("step").set_index("step")
        series = []
        for k, step in enumerate(snapshots(own.index.to_series(), moments)):
            row = own.loc[step]
            places = {
                axis: [float(row[f"neuron/{j}/{name}"]) for j in numbers]
                for axis, name in (("x", "w2"), ("y", "b2"))
            }
            look = Look(COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)], "")
            series.append(
                Series(f"step {step}", look, pd.DataFrame(places), "points", f"step {step}")
            )
        columns.append(
            [
                Panel(
                    series,
                    Axis("w2", log=False),
                    Axis("b2", log=False),
                    f"{line}, d = {own['d'].iloc[0]}",
                )
            ]
        )
    if columns:
        caption = "Second-layer neurons (w2, b2) of one seed at moments of the training; the hinge sits at (−1/α, 1)."
        yield Chart("neurons", caption, columns)
