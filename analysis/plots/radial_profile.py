"""``radial_profile``: what a network has learned as a function of the radius, at several moments of
its training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from analysis.chart import GREY, Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.path_norm import target_of
from analysis.style import COLOURS, Look

ORDER = 20


def radial_profile(evidence: Evidence, moments: int = 5) -> Iterator[Chart]:
    """Mean of f over directions against the radius (median over seeds) at the first, the last and
    log-spaced looks between, with the target; a panel per line, at its largest d. Drawn where a
    radial probe kept profiles on the way."""
    looks = evidence.traces
    names = [name for name in looks if name.startswith("profile/")]
    if not names:
        return
    radii = np.array([float(name.partition("/")[2]) for name in names])
    columns = []
    for line, own in looks.dropna(subset=names).groupby("line"):
        own = own[own["d"] == own["d"].max()]
        steps = snapshots(own["step"], moments)
        panel = [
            _curve(
                f"step {step}",
                COLOURS[k % len(COLOURS)],
                radii,
                own[own["step"] == step][names].astype(float).median(),
            )
            for k, step in enumerate(steps)
        ]
        rows = evidence.trainings[evidence.trainings["cell_id"] == own["cell_id"].iloc[0]]
        truth = target_of(rows.iloc[0]).value(torch.from_numpy(radii)).numpy()
        panel.append(
            Series(
                "target",
                Look(GREY, "", "--"),
                pd.DataFrame({"x": radii, "y": truth}),
                "line",
                "target",
            )
        )
        columns.append(
            [
                Panel(
                    panel,
                    Axis("radius ‖x‖", log=False),
                    Axis("mean of f over directions", log=False),
                    f"{line}, d = {own['d'].iloc[0]}",
                )
            ]
        )
    if columns:
        caption = (
            "The learned function of the radius, averaged over directions, at moments of the training (median over seeds); dashed: "
            "the target."
        )
        yield Chart("radial-profile", caption, columns, (2.6,))


def snapshots(steps: pd.Series, count: int) -> list[int]:
    """About ``count`` of the steps looked at: the first, the last and log-spaced ones between."""
    all_ = np.array(sorted(steps.unique()))
    wanted = np.concatenate(
        [[0], np.geomspace(max(all_[all_ > 0].min(), all_.max() / 150), all_.max(), count - 1)]
    )
    return sorted({int(all_[np.abs(all_ - want).argmin()]) for want in wanted})


def _curve(name: str, colour: str, radii: np.ndarray, values: pd.Series) -> Series:
    return Series(
        name,
        Look(colour, "", "-"),
        pd.DataFrame({"x": radii, "y": values.to_numpy()}),
        "line",
        name,
    )
