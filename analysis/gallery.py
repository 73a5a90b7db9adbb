"""Which figures a study gets. A figure is drawn where its tables can fill it, and named by what it shows, so that the
same store always gives the same files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.correction import feature_correction
from analysis.figures import nstar_against_d, nstar_against_depth, risk_against_n
from analysis.style import Look, save


@dataclass(frozen=True)
class Drawn:
    """One figure on disk: ``name`` without ending, what it shows, and its files."""

    name: str
    caption: str
    files: list[Path]


def draw_study(
    study: str,
    trainings: pd.DataFrame,
    nstar: pd.DataFrame,
    slopes: pd.DataFrame,
    local: pd.DataFrame,
    depth: pd.DataFrame,
    look: Mapping[str, Look],
    folder: Path,
) -> list[Drawn]:
    """Every figure of one study that its tables can fill."""
    drawn: list[Drawn] = []

    def keep(figure: Figure | None, kind: str, caption: str) -> None:
        if figure is not None:
            name = re.sub(r"[^A-Za-z0-9]+", "-", f"{study}-{kind}").strip("-")
            while (folder / f"{name}.png").exists():
                name += "-2"
            drawn.append(Drawn(name, caption, save(figure, folder / name)))

    for target, own in nstar.groupby("target"):
        runs, deep = trainings[trainings["target"] == target], depth[depth["target"] == target]
        for L, rows in own.groupby("L"):
            fits, steps = (table[(table["target"] == target) & (table["L"] == L)] for table in (slopes, local))
            keep(
                nstar_against_d(rows, fits, steps, look),
                f"nstar-{target}-L{L}",
                f"n* against input dimension d, {target}, L = {L}. Bars: 95 % posterior intervals of each cell alone; open "
                "markers with arrows: not reached (up) or reached at the smallest n already (down), open without arrow: "
                "beyond the largest n; lines: power laws, the posterior of all cells together, censored ones included. Below: "
                "local exponent Δ log n* / Δ log d between neighbouring d with its 95 % interval; a power law is level there.",
            )
        keep(
            nstar_against_depth(deep, look),
            f"depth-{target}",
            f"n* against depth L, {target}. Bars: 95 % posterior intervals; open markers with arrows: not reached.",
        )
        by_depth = own["d"].nunique() == 1 and own["L"].nunique() > 1
        fixed, panel = ("d", "L") if by_depth else ("L", "d")
        for value, rows in own.groupby(fixed):
            keep(
                risk_against_n(runs[runs[fixed] == value], rows, look, panel),
                f"risk-{target}-{fixed}{value}",
                f"Median relative test risk against n, {target}, {fixed} = {value}. Bands: quartiles over seeds; "
                "rings: n* with its 95 % interval. The axis ends at a thirtieth of the smallest ε.",
            )
        probed = runs[runs[[name for name in runs if "/" in name]].notna().any(axis=1)]
        for L, rows in probed.groupby("L"):
            d = rows["d"].max()
            keep(
                feature_correction(rows[rows["d"] == d], look),
                f"correction-{target}-L{L}",
                f"Errors of the learned features after each phase, {target}, L = {L}, d = {d}, at the largest n. Thin: "
                "one seed; thick: median.",
            )
    return drawn
