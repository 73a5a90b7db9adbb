"""``nstar_over_law``: n* over a stated law of d; a method that follows the law is level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series
from analysis.evidence import Evidence
from analysis.reference_laws import law as law_of
from analysis.series import free_mark, free_notes, plain_ticks

ORDER = 12


def nstar_over_law(evidence: Evidence, laws: Mapping[str, str]) -> Iterator[Chart]:
    """One panel per law, of the methods that ``laws`` (method → law of
    :mod:`analysis.reference_laws`) compares with it, at the strictest eps at which any of them has
    an n*; medians with the interval of each cell."""
    table = evidence.nstar[
        evidence.nstar["method"].isin(list(laws))
        & (evidence.nstar["censored"] == "")
        & evidence.nstar["nstar"].notna()
    ]
    if table.empty:
        return
    eps = table["eps"].min()
    table = table[np.isclose(table["eps"], eps)]
    columns = []
    for name in dict.fromkeys(laws.values()):
        rows = table[table["method"].map(laws.get) == name]
        if rows.empty:
            continue
        series = []
        lines = sorted(rows["line"].unique())
        for rank, line in enumerate(lines):
            own, shift = (
                rows[rows["line"] == line].sort_values("d"),
                1.015 ** (rank - (len(lines) - 1) / 2),
            )
            scale = np.array(
                [law_of(name)(int(d), int(p)) for d, p in zip(own["d"], own["degree"], strict=True)]
            )
            data = pd.DataFrame(
                {
                    "x": own["d"] * shift,
                    **{
                        c: own[n].to_numpy(float) / scale
                        for c, n in (("y", "nstar"), ("lo", "lo"), ("hi", "hi"))
                    },
                }
            )
            series.append(Series(line, evidence.looks[line], data, "points", line + free_mark(own)))
        columns.append(
            [
                Panel(
                    series,
                    Axis("input dimension d", ticks=plain_ticks(rows["d"])),
                    Axis(f"n* / ({name})", log=False),
                    f"ε = {eps:g}",
                )
            ]
        )
    caption = "n* over a law of d. Bars: 95 % posterior intervals of each cell alone. Level points: the law holds up to its constant."
    yield Chart("over-law", caption, columns, (2.6,), "column", notes=free_notes(table))
