"""``risk_against_depth``: what is reached at each depth where samples are no limit."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.series import median_band

ORDER = 21


def risk_against_depth(evidence: Evidence) -> Iterator[Chart]:
    """Median risk with quartiles over seeds against the depth L, a panel per d, of trainings on
    fresh samples, where a study measured more than one L at that d."""
    rows = evidence.trainings
    if rows.empty or "fresh" not in rows:
        return
    rows = rows[(rows["kind"] == "training") & rows["fresh"].astype(bool)]
    for target, own in rows.groupby("target"):
        columns = []
        for d, cell in own.groupby("d"):
            if cell["L"].nunique() < 2:
                continue
            degrees = cell.groupby("L")["degree"].first()
            ticks = {L: f"{L} ({degree})" for L, degree in degrees.items()}
            series = []
            for line, part in cell.groupby("line"):
                bands = median_band(part, "L", "risk")
                series += [
                    Series(line, evidence.looks[line], bands, "line"),
                    Series(line, evidence.looks[line], bands, "points", line),
                ]
            axis = Axis(
                "depth L (polynomial degree)",
                log=False,
                ticks=ticks,
                range=(min(ticks) - 0.3, max(ticks) + 0.3),
            )
            columns.append([Panel(series, axis, Axis("relative test risk"), f"d = {d}")])
        if columns:
            caption = f"What is left at each depth, fresh samples, {target}. Medians with quartiles over seeds."
            yield Chart(f"deep-{target}", caption, columns, (3.0,), same_y=True)
