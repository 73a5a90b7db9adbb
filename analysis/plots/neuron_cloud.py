"""``neuron_cloud``: the second-layer neurons of a mean-field network during its training."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.plots.radial_profile import choose_steps
from analysis.style import COLOURS, MARKERS, LineStyle

ORDER = 21
CAPTION = (
    "Second-layer neurons (w2, b2) of one seed at several steps of the training; the hinge sits at "
    "(−1/α, 1)."
)


def neuron_cloud(evidence: Evidence, moments: int = 5) -> Iterator[Chart]:
    """(w2, b2) of every stored neuron of the first seed, coloured by the step.

    A panel per line at its largest d, where the mean-field probe stored neurons.
    """
    trace = evidence.traces
    neurons = _list_neurons(trace)
    if not neurons:
        return
    columns = []
    for line, rows in trace.groupby("line"):
        rows = rows[(rows["d"] == rows["d"].max()) & rows[f"neuron/{neurons[0]}/w2"].notna()]
        if rows.empty:
            continue
        title = f"{line}, d = {rows['d'].iloc[0]}"
        rows = rows[rows["seed"] == rows["seed"].min()].drop_duplicates("step").set_index("step")
        series = _make_series(rows, neurons, moments)
        columns.append([Panel(series, Axis("w2", log=False), Axis("b2", log=False), title)])
    if columns:
        yield Chart("neurons", CAPTION, columns)


def _list_neurons(trace: pd.DataFrame) -> list[int]:
    """Numbers of the neurons that were stored."""
    matches = [re.fullmatch(r"neuron/(\d+)/w2", name) for name in trace]
    return sorted({int(match.group(1)) for match in matches if match})


def _make_series(trace: pd.DataFrame, neurons: Sequence[int], moments: int) -> list[Series]:
    """The cloud at every chosen step; ``trace``: one row per step."""
    series = []
    for number, step in enumerate(choose_steps(trace.index.to_series(), moments)):
        row = trace.loc[step]
        data = pd.DataFrame(
            {
                "x": [float(row[f"neuron/{neuron}/w2"]) for neuron in neurons],
                "y": [float(row[f"neuron/{neuron}/b2"]) for neuron in neurons],
            }
        )
        style = LineStyle(COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)], "")
        series.append(Series(f"step {step}", style, data, "points", f"step {step}"))
    return series
