"""``risk_against_depth``: what is reached at each depth with unlimited samples."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.series import compute_median_band, make_depth_axis

ORDER = 21
CAPTION = (
    "Risk that is left at each depth with fresh samples, {target}. Medians with quartiles over "
    "seeds."
)


def risk_against_depth(evidence: Evidence) -> Iterator[Chart]:
    """Median risk with quartiles over seeds against L, a panel per d.

    Of trainings on fresh samples, where a study measured more than one L at that d.
    """
    rows = evidence.trainings
    if rows.empty or "fresh" not in rows:
        return
    rows = rows[(rows["kind"] == "training") & rows["fresh"].astype(bool)]
    for target, trainings in rows.groupby("target"):
        columns = []
        for d, group in trainings.groupby("d"):
            if group["L"].nunique() < 2:
                continue
            series = []
            for line, runs in group.groupby("line"):
                data, style = compute_median_band(runs, "L", "risk"), evidence.styles[line]
                series.append(Series(line, style, data, "line"))
                series.append(Series(line, style, data, "points", line))
            axis = make_depth_axis(group)
            columns.append([Panel(series, axis, Axis("relative test risk"), f"d = {d}")])
        if columns:
            caption = CAPTION.format(target=target)
            yield Chart(f"deep-{target}", caption, columns, (3.0,), same_y=True)
