"""``dose_response``: how much correction, and how deep? Methods in the order of a dose, and what
each reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from analysis.chart import GREY, Axis, Chart, Panel, Series
from analysis.correction import at_largest_n
from analysis.evidence import Evidence
from analysis.series import counted, free_notes, nstar_series
from analysis.style import COLOURS, MARKERS, Look

ORDER = 12
SHOWN = {
    "risk": "relative test risk",
    "gram/2": "Gram error of level 2",
    "feature/3": "feature error of level 3 (1 − R²)",
    "corrected/2": "Gram error of level 2, own phase over end",
}
"""What is shown → its title; ``corrected/2``: how much the later phases corrected level 2."""


def dose_response(evidence: Evidence, methods: Sequence[str]) -> Iterator[Chart]:
    """Risk and feature errors at the end of the training and how much level 2 was corrected, per
    seed and in the median, for ``methods`` in their order; at the largest d of every target and L,
    each cell at its largest n. Where several n were measured, n* first."""
    rows = evidence.trainings[evidence.trainings["method"].isin(methods)]
    for (target, L), whole in rows.groupby(["target", "L"]):
        whole = whole[whole["d"] == whole["d"].max()]
        own = at_largest_n(whole)
        present = [method for method in methods if (own["method"] == method).any()]
        if len(present) < 2:
            continue
        ticks = {
            place: method.partition(" ")[0].replace("_", "\n")
            for place, method in enumerate(present)
        }
        axis = Axis("schedule", log=False, ticks=ticks, range=(-0.5, len(present) - 0.5))
        counts = whole.groupby("cell_id")["n"].nunique()
        nstar = (
            evidence.nstar[evidence.nstar["cell_id"].isin(counts.index[counts > 1])]
            if counts.max() > 1
            else evidence.nstar.iloc[:0]
        )
        panels = (
            [
                [
                    Panel(
                        _samples(nstar, present),
                        axis,
                        Axis(f"n* ({counted(nstar)})"),
                        "samples needed",
                    )
                ]
            ]
            if len(nstar)
            else []
        )
        for what, title in SHOWN.items():
            series = _series(own, present, what)
            if series:
                panels.append([Panel(series, axis, Axis(title), title)])
        caption = (
            f"What more or less correction of the lower levels leaves, {target}, L = {L}, d = {own['d'].max()}, largest n. "
            "Markers: medians with quartiles; thin: from the smallest to the largest seed."
        )
        if len(nstar):
            caption += (
                " n*: bars are 95 % posterior intervals; open markers with arrows: not reached."
            )
        yield Chart(
            f"dose-{target}-L{L}",
            caption,
            panels,
            (2.8,),
            most_columns=1 if len(present) > 5 else 2,
            notes=free_notes(nstar) if len(nstar) else (),
        )


def _samples(nstar: pd.DataFrame, methods: Sequence[str]) -> list[Series]:
    """n* of every method, a series per eps."""
    series = []
    levels = sorted(nstar["eps"].unique(), reverse=True)
    for rank, eps in enumerate(levels):
        own = nstar[nstar["eps"] == eps]
        own = own.assign(place=own["method"].map(methods.index).astype(float))
        look = Look(COLOURS[rank % len(COLOURS)], MARKERS[rank % len(MARKERS)], "")
        series.append(
            nstar_series(
                own, "place", look, f"ε = {eps:g}", offset=0.1 * (rank - (len(levels) - 1) / 2)
            )
        )
    return series


def _series(rows: pd.DataFrame, methods: Sequence[str], what: str) -> list[Series]:
    medians, ranges = [], []
    for place, method in enumerate(methods):
        values = _final(rows[rows["method"] == method], what).dropna()
        values = values[values > 0]
        if values.empty:
            continue
        low, median, high = values.quantile([0.25, 0.5, 0.75])
        medians.append(
            {
                "x": float(place),
                "y": median,
                "lo": low,
                "hi": high,
                "note": f"{method}, {len(values)} seeds",
            }
        )
        ranges += [
            {"x": float(place), "y": end, "part": method} for end in (values.min(), values.max())
        ]
    if not medians:
        return []
    return [
        Series(
            "all seeds", Look(GREY, "", "-"), pd.DataFrame(ranges), "line", "all seeds", faint=True
        ),
        Series(
            "median",
            Look(COLOURS[0], "s", ""),
            pd.DataFrame(medians),
            "points",
            "median and quartiles",
        ),
    ]


def _final(rows: pd.DataFrame, what: str) -> pd.Series:
    """A probe at the end of the last phase of each training (column ``<stage>/<what>``), its
    correction, or the risk."""
    if what == "risk":
        return rows["risk"].astype(float)
    if what.startswith("corrected/"):
        level = what.partition("/")[2]
        own = f"level{level}/gram/{level}"
        return (
            rows[own].astype(float) / _final(rows, f"gram/{level}")
            if own in rows
            else pd.Series(np.nan, index=rows.index)
        )
    found = pd.Series(np.nan, index=rows.index)
    for stage, own in rows.groupby("stage"):
        if f"{stage}/{what}" in rows:
            found[own.index] = own[f"{stage}/{what}"].astype(float)
    return found
