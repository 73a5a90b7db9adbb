"""``nstar_against_depth``: depth as the swept axis."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.series import counted, free_mark, free_notes, nstar_series

ORDER = 20


def nstar_against_depth(evidence: Evidence) -> Iterator[Chart]:
    """n* against the depth L, a panel per (d, eps), where a study measured more than one L at that
    d."""
    for target, deep in evidence.depth.groupby("target") if len(evidence.depth) else []:
        places = (
            deep[["d", "eps"]].drop_duplicates().sort_values(["d", "eps"], ascending=[True, False])
        )
        columns = []
        for d, eps in places.itertuples(index=False):
            rows = deep[(deep["d"] == d) & (deep["eps"] == eps)]
            degrees = rows.groupby("L")["degree"].first()
            ticks = {L: f"{L} ({degree})" for L, degree in degrees.items()}
            lines = sorted(rows["line"].unique())
            series = []
            for rank, line in enumerate(lines):
                own, look = rows[rows["line"] == line], evidence.looks[line]
                points = nstar_series(
                    own,
                    "L",
                    look,
                    line + free_mark(own),
                    offset=0.05 * (rank - (len(lines) - 1) / 2),
                )
                reached = points.data[points.data["mark"].isin(("", "open"))]
                series += [Series(line, look, reached[["x", "y"]], "line"), points]
            axis = Axis(
                "depth L (polynomial degree)",
                log=False,
                ticks=ticks,
                range=(min(ticks) - 0.3, max(ticks) + 0.3),
            )
            columns.append(
                [Panel(series, axis, Axis(f"n* ({counted(rows)})"), f"d = {d}, ε = {eps:g}")]
            )
        caption = f"n* against depth L, {target}. Bars: 95 % posterior intervals; open markers with arrows: not reached."
        yield Chart(
            f"depth-{target}", caption, columns, (3.0,), same_y=True, notes=free_notes(deep)
        )
