"""``radial_profile``: what a network has learned as a function of the radius, during training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch

from analysis.chart import GREY, Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.path_norm import rebuild_target
from analysis.style import COLOURS, LineStyle

ORDER = 20
PREFIX = "profile/"
CAPTION = (
    "The learned function of the radius, averaged over directions, at several steps of the "
    "training (median over seeds); dashed: the target."
)


def radial_profile(evidence: Evidence, moments: int = 5) -> Iterator[Chart]:
    """Mean of f over directions against the radius, with the target.

    Median over seeds, at the first, the last and log-spaced steps between; a panel per line, at its
    largest d, where a radial probe stored profiles during training.
    """
    trace = evidence.traces
    names = [name for name in trace if name.startswith(PREFIX)]
    if not names:
        return
    columns = []
    for line, rows in trace.dropna(subset=names).groupby("line"):
        rows = rows[rows["d"] == rows["d"].max()]
        series = _make_series(rows, names, moments)
        trainings = evidence.trainings
        trainings = trainings[trainings["cell_id"] == rows["cell_id"].iloc[0]]
        series.append(_make_target_series(trainings, names))
        x = Axis("radius ‖x‖", log=False)
        y = Axis("mean of f over directions", log=False)
        columns.append([Panel(series, x, y, f"{line}, d = {rows['d'].iloc[0]}")])
    if columns:
        yield Chart("radial-profile", CAPTION, columns, (2.6,))


def choose_steps(steps: pd.Series, count: int) -> list[int]:
    """About ``count`` of the steps at which a probe was evaluated.

    The first, the last and log-spaced ones between.
    """
    measured = np.array(sorted(steps.unique()))
    first = max(measured[measured > 0].min(), measured.max() / 150)
    ideal = np.concatenate([[0], np.geomspace(first, measured.max(), count - 1)])
    return sorted({int(measured[np.abs(measured - step).argmin()]) for step in ideal})


def _read_radii(names: Sequence[str]) -> np.ndarray:
    """The radii of columns ``profile/<radius>``."""
    return np.array([float(name.removeprefix(PREFIX)) for name in names])


def _make_series(trace: pd.DataFrame, names: Sequence[str], moments: int) -> list[Series]:
    """The profile at every chosen step."""
    series = []
    for number, step in enumerate(choose_steps(trace["step"], moments)):
        medians = trace.loc[trace["step"] == step, list(names)].astype(float).median()
        data = pd.DataFrame({"x": _read_radii(names), "y": medians.to_numpy()})
        style = LineStyle(COLOURS[number % len(COLOURS)], "", "-")
        series.append(Series(f"step {step}", style, data, "line", f"step {step}"))
    return series


def _make_target_series(trainings: pd.DataFrame, names: Sequence[str]) -> Series:
    """The target at the same radii."""
    radii = _read_radii(names)
    values = rebuild_target(trainings.iloc[0]).value(torch.from_numpy(radii)).numpy()
    data = pd.DataFrame({"x": radii, "y": values})
    return Series("target", LineStyle(GREY, "", "--"), data, "line", "target")
