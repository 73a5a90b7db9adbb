"""``risk_against_n``: the learning curves that n* is read from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.series import counted, free_mark, free_notes, median_band
from analysis.style import Look

ORDER = 30


def risk_against_n(evidence: Evidence) -> Iterator[Chart]:
    """Median test risk and quartiles over seeds against n, a panel per d (per L where d does not
    vary). Runs of kind ``probe`` (fresh data, more steps) stand right of the grid; rings are n*."""
    for target, own in evidence.nstar.groupby("target"):
        runs = evidence.trainings[
            (evidence.trainings["target"] == target) & (evidence.trainings["n"] > 0)
        ]
        by_depth = own["d"].nunique() == 1 and own["L"].nunique() > 1
        fixed, panel = ("d", "L") if by_depth else ("L", "d")
        for value, nstar in own.groupby(fixed):
            rows = runs[runs[fixed] == value]
            measured = rows[rows["kind"] != "confirmation"]
            risk = measured.loc[np.isfinite(measured["risk"]) & (measured["risk"] > 0), "risk"]
            if risk.empty or measured.groupby("cell_id")["n"].nunique().max() < 2:
                continue
            levels = nstar["eps"]
            low, high = min(risk.min(), levels.min()), max(risk.quantile(0.995), levels.max())
            axis = Axis(
                "relative test risk", range=(max(low, levels.min() / 30) / 1.6, min(high * 1.6, 5))
            )
            columns = [
                [
                    _panel(
                        rows[rows[panel] == place],
                        nstar[nstar[panel] == place],
                        f"{panel} = {place}",
                        axis,
                        evidence,
                    )
                ]
                for place in sorted(measured[panel].unique())
            ]
            caption = (
                f"Median relative test risk against n, {target}, {fixed} = {value}. Bands: quartiles over seeds; rings: n* with its "
                "95 % interval; stars: probes (fresh data, 4 × the steps). The axis ends at a thirtieth of the smallest ε."
            )
            yield Chart(
                f"risk-{target}-{fixed}{value}",
                caption,
                columns,
                (2.3,),
                most_columns=3,
                same_y=True,
                notes=free_notes(nstar),
            )


def _panel(
    rows: pd.DataFrame, nstar: pd.DataFrame, title: str, axis: Axis, evidence: Evidence
) -> Panel:
    series = []
    measured, probes = rows[rows["kind"] != "confirmation"], rows[rows["kind"] == "confirmation"]
    for line, own in measured.groupby("line"):
        look, bands = evidence.looks[line], median_band(own, "n", "risk")
        legend = line + free_mark(nstar[nstar["line"] == line])
        series += [Series(line, look, bands, "band"), Series(line, look, bands, "curve", legend)]
    edge = 1.35 * measured["n"].max()
    for line, own in probes.groupby("line"):
        data = pd.DataFrame(
            {
                "x": [edge],
                "y": [own["risk"].fillna(np.inf).median()],
                "note": "fresh data, 4 × the steps",
            }
        )
        series.append(
            Series(f"{line}: probes", Look(evidence.looks[line].colour, "*", ""), data, "ring")
        )
    for row in nstar[(nstar["censored"] == "") & nstar["nstar"].notna()].itertuples():
        data = pd.DataFrame(
            {"x": [row.nstar], "y": [row.eps], "left": [row.lo], "right": [row.hi], "note": "n*"}
        )
        series.append(
            Series(f"{row.line}: n*", Look(evidence.looks[row.line].colour, "o", ""), data, "ring")
        )
    levels = {eps: f"ε={eps:g}" for eps in sorted(nstar["eps"].unique())}
    return Panel(series, Axis(f"n ({counted(nstar)})"), axis, title, levels)
