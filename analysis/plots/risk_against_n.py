"""``risk_against_n``: the learning curves that n* is read from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.kernel_prediction import predict_kernel_risks
from analysis.series import (
    compute_median_band,
    describe_n,
    list_validation_notes,
    mark_free_validation,
)
from analysis.style import LineStyle
from analysis.training_kinds import drop_confirming, mark_confirming

ORDER = 30
CONFIRMING = "fresh data, 4 × the steps"
CAPTION = (
    "Median relative test risk against n, {target}, {fixed} = {value}. Bands: quartiles over "
    "seeds; rings: n* with its 95 % interval; stars: confirming runs (" + CONFIRMING + "). The "
    "axis ends at a thirtieth of the smallest ε."
)


def risk_against_n(evidence: Evidence) -> Iterator[Chart]:
    """Median test risk and quartiles over seeds against n, a panel per d.

    A panel per L where d does not vary. Confirming runs stand right of the grid; rings are n*.
    """
    for target, cells in evidence.nstar.groupby("target"):
        trainings = evidence.trainings
        trainings = trainings[(trainings["target"] == target) & (trainings["n"] > 0)]
        by_depth = cells["d"].nunique() == 1 and cells["L"].nunique() > 1
        fixed, varied = ("d", "L") if by_depth else ("L", "d")
        for value, nstar in cells.groupby(fixed):
            rows = trainings[trainings[fixed] == value]
            columns = _make_columns(rows, nstar, varied, evidence)
            if columns:
                yield Chart(
                    f"risk-{target}-{fixed}{value}",
                    CAPTION.format(target=target, fixed=fixed, value=value),
                    columns,
                    (2.3,),
                    max_columns=3,
                    same_y=True,
                    notes=list_validation_notes(nstar),
                )


def _make_columns(
    rows: pd.DataFrame, nstar: pd.DataFrame, varied: str, evidence: Evidence
) -> list[list[Panel]]:
    """A panel per value of d or L; none without a curve."""
    measured = drop_confirming(rows)
    risk = measured.loc[np.isfinite(measured["risk"]) & (measured["risk"] > 0), "risk"]
    if risk.empty or measured.groupby("cell_id")["n"].nunique().max() < 2:
        return []
    axis = _make_risk_axis(risk, nstar["eps"])
    columns = []
    for place in sorted(measured[varied].unique()):
        runs, estimates = rows[rows[varied] == place], nstar[nstar[varied] == place]
        columns.append([_make_panel(runs, estimates, f"{varied} = {place}", axis, evidence)])
    return columns


def _make_risk_axis(risk: pd.Series, eps: pd.Series) -> Axis:
    """An axis that leaves out what is far below every eps."""
    low, high = min(risk.min(), eps.min()), max(risk.quantile(0.995), eps.max())
    return Axis("relative test risk", range=(max(low, eps.min() / 30) / 1.6, min(high * 1.6, 5)))


def _make_panel(
    rows: pd.DataFrame, nstar: pd.DataFrame, title: str, axis: Axis, evidence: Evidence
) -> Panel:
    is_confirming = mark_confirming(rows)
    measured, confirming = rows[~is_confirming], rows[is_confirming]
    series = []
    for line, runs in measured.groupby("line"):
        data, style = compute_median_band(runs, "n", "risk"), evidence.styles[line]
        legend = line + mark_free_validation(nstar[nstar["line"] == line])
        series.append(Series(line, style, data, "band"))
        series.append(Series(line, style, data, "curve", legend))
        series += _make_law_series(line, runs, style)
    series += _make_confirming_series(confirming, 1.35 * measured["n"].max(), evidence)
    series += _make_nstar_rings(nstar, evidence)
    levels = {eps: f"ε={eps:g}" for eps in sorted(nstar["eps"].unique())}
    return Panel(series, Axis(f"n ({describe_n(nstar)})"), axis, title, levels)


def _make_law_series(line: str, runs: pd.DataFrame, style: LineStyle) -> list[Series]:
    """The median over seeds of the risk that theory predicts; none where it has no law."""
    predicted = predict_kernel_risks(runs)
    if predicted.isna().all():
        return []
    medians = predicted.groupby(runs["n"]).median().dropna()
    data = pd.DataFrame({"x": medians.index.to_numpy(float), "y": medians.to_numpy(float)})
    law = replace(style, marker="", dash=":")
    return [Series(f"{line}: law", law, data, "line", f"{line}: predicted, no free constant")]


def _make_confirming_series(rows: pd.DataFrame, x: float, evidence: Evidence) -> list[Series]:
    """A star per line at ``x``: the median of its confirming runs."""
    series = []
    for line, runs in rows.groupby("line"):
        median = runs["risk"].fillna(np.inf).median()
        data = pd.DataFrame({"x": [x], "y": [median], "note": CONFIRMING})
        style = replace(evidence.styles[line], marker="*", dash="")
        series.append(Series(f"{line}: confirming runs", style, data, "ring"))
    return series


def _make_nstar_rings(nstar: pd.DataFrame, evidence: Evidence) -> list[Series]:
    """A ring per n* that is bracketed, with its interval in n."""
    series = []
    bracketed = nstar[(nstar["censored"] == "") & nstar["nstar"].notna()]
    for row in bracketed.to_dict("records"):
        point = {"x": row["nstar"], "y": row["eps"], "left": row["lo"], "right": row["hi"]}
        style = replace(evidence.styles[row["line"]], marker="o", dash="")
        data = pd.DataFrame([{**point, "note": "n*"}])
        series.append(Series(f"{row['line']}: n*", style, data, "ring"))
    return series
