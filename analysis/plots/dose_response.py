"""``dose_response``: how much correction is needed, and how deep?

Methods in the order of a dose, and what each reaches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from analysis.chart import GREY, Axis, Chart, Panel, Series
from analysis.correction import select_largest_n
from analysis.evidence import Evidence
from analysis.series import describe_n, list_validation_notes, make_nstar_series
from analysis.style import COLOURS, MARKERS, LineStyle

ORDER = 12
TITLES = {
    "risk": "relative test risk",
    "gram/2": "Gram error of level 2",
    "feature/3": "feature error of level 3 (1 − R²)",
    "corrected/2": "Gram error of level 2, own phase over end",
}
"""Quantity → title; ``corrected/2``: how much the later phases corrected level 2."""
CAPTION = (
    "What more or less correction of the lower levels leaves, {target}, L = {L}, d = {d}, at the "
    "largest n. Markers: medians with quartiles; thin lines: from the smallest to the largest seed."
)
NSTAR_CAPTION = " n*: bars are 95 % posterior intervals; open markers with arrows: not reached."


def dose_response(evidence: Evidence, methods: Sequence[str]) -> Iterator[Chart]:
    """What ``methods`` reach, in their order: n*, risk, feature errors and correction.

    Per seed and in the median, at the end of the training; at the largest d of every target and L,
    each cell at its largest n. n* is shown where several n were measured.
    """
    rows = evidence.trainings[evidence.trainings["method"].isin(methods)]
    for (target, L), group in rows.groupby(["target", "L"]):
        group = group[group["d"] == group["d"].max()]
        ends = select_largest_n(group)
        present = [method for method in methods if (ends["method"] == method).any()]
        if len(present) < 2:
            continue
        axis = _make_axis(present)
        nstar = _select_nstar(evidence, group)
        columns = [[panel] for panel in _make_panels(ends, nstar, present, axis)]
        caption = CAPTION.format(target=target, L=L, d=ends["d"].max())
        yield Chart(
            f"dose-{target}-L{L}",
            caption + NSTAR_CAPTION if len(nstar) else caption,
            columns,
            (2.8,),
            max_columns=1 if len(present) > 5 else 2,
            notes=list_validation_notes(nstar) if len(nstar) else (),
        )


def _make_axis(methods: Sequence[str]) -> Axis:
    """An axis with the schedules of the methods as ticks."""
    names = [method.partition(" ")[0].replace("_", "\n") for method in methods]
    ticks = {float(place): name for place, name in enumerate(names)}
    return Axis("schedule", log=False, ticks=ticks, range=(-0.5, len(methods) - 0.5))


def _select_nstar(evidence: Evidence, rows: pd.DataFrame) -> pd.DataFrame:
    """n* of the cells that were measured at several n."""
    counts = rows.groupby("cell_id")["n"].nunique()
    if counts.max() <= 1:
        return evidence.nstar.iloc[:0]
    return evidence.nstar[evidence.nstar["cell_id"].isin(counts.index[counts > 1])]


def _make_panels(
    ends: pd.DataFrame, nstar: pd.DataFrame, methods: Sequence[str], axis: Axis
) -> list[Panel]:
    panels = []
    if len(nstar):
        label = Axis(f"n* ({describe_n(nstar)})")
        panels.append(Panel(_make_nstar_series(nstar, methods), axis, label, "samples needed"))
    for quantity, title in TITLES.items():
        series = _make_series(ends, methods, quantity)
        if series:
            panels.append(Panel(series, axis, Axis(title), title))
    return panels


def _make_nstar_series(nstar: pd.DataFrame, methods: Sequence[str]) -> list[Series]:
    """n* of every method, one series per eps."""
    series = []
    levels = sorted(nstar["eps"].unique(), reverse=True)
    for rank, eps in enumerate(levels):
        rows = nstar[nstar["eps"] == eps]
        rows = rows.assign(place=rows["method"].map(methods.index).astype(float))
        style = LineStyle(COLOURS[rank % len(COLOURS)], MARKERS[rank % len(MARKERS)], "")
        offset = 0.1 * (rank - (len(levels) - 1) / 2)
        series.append(make_nstar_series(rows, "place", style, f"ε = {eps:g}", offset=offset))
    return series


def _make_series(rows: pd.DataFrame, methods: Sequence[str], quantity: str) -> list[Series]:
    """The range over seeds and the median of a quantity, of every method; empty without any."""
    medians: list[dict[str, object]] = []
    ranges: list[dict[str, object]] = []
    for place, method in enumerate(methods):
        values = _read_end(rows[rows["method"] == method], quantity).dropna()
        values = values[values > 0]
        if values.empty:
            continue
        x = float(place)
        low, median, high = values.quantile([0.25, 0.5, 0.75])
        note = f"{method}, {len(values)} seeds"
        medians.append({"x": x, "y": median, "lo": low, "hi": high, "note": note})
        for end in (values.min(), values.max()):
            ranges.append({"x": x, "y": end, "part": method})
    if not medians:
        return []
    grey, blue = LineStyle(GREY, "", "-"), LineStyle(COLOURS[0], "s", "")
    seeds, middle = pd.DataFrame(ranges), pd.DataFrame(medians)
    return [
        Series("all seeds", grey, seeds, "line", "all seeds", faint=True),
        Series("median", blue, middle, "points", "median and quartiles"),
    ]


def _read_end(rows: pd.DataFrame, quantity: str) -> pd.Series:
    """A quantity at the end of the last phase of each training.

    The risk, a probe (column ``<stage>/<quantity>``), or how much a level was corrected: its Gram
    error after its own phase over that at the end.
    """
    if quantity == "risk":
        return rows["risk"].astype(float)
    kind, _, level = quantity.partition("/")
    if kind == "corrected":
        first = f"level{level}/gram/{level}"
        if first not in rows:
            return pd.Series(np.nan, index=rows.index)
        return rows[first].astype(float) / _read_end(rows, f"gram/{level}")
    values = pd.Series(np.nan, index=rows.index)
    for stage, group in rows.groupby("stage"):
        if f"{stage}/{quantity}" in rows:
            values[group.index] = group[f"{stage}/{quantity}"].astype(float)
    return values
