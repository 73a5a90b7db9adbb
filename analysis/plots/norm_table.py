"""``norm_table``: the path norm that every two-layer ReLU network needs on the hinge, as a figure
and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series, Sheet
from analysis.evidence import Evidence
from analysis.path_norm import floor
from analysis.series import plain_ticks
from analysis.style import COLOURS, MARKERS, Look

ORDER = 24


def norm_table(
    evidence: Evidence, d: Sequence[int], eps: Sequence[float], law: str = "limit"
) -> Iterator[Chart | Sheet]:
    """Norm against d with a line per ε (points: certified lower bounds, bars up to what suffices),
    and the table of both sides; d = 0 is the limit of large d. Computed here, from no training."""
    floors = [floor(law, size, level) for size in d for level in eps]
    table = pd.DataFrame(
        [
            {
                "d": "∞" if math.isinf(own.d) else f"{own.d:g}",
                "ε": own.eps,
                "lower": own.lower,
                "upper": own.upper,
                "gap": own.gap,
            }
            for own in floors
        ]
    )
    series = []
    for k, level in enumerate(eps):
        data = pd.DataFrame(
            [
                {"x": own.d, "y": own.lower, "lo": own.lower, "hi": own.upper}
                for own in floors
                if own.eps == level and math.isfinite(own.d)
            ]
        )
        look, name = (
            Look(COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)], "-"),
            f"ε = {level:g}",
        )
        series.append(Series(name, look, data, "curve", name))
    axis = Axis("d", ticks=plain_ticks(float(size) for size in d if size))
    caption = (
        "Path norm Σ|a|‖w‖/√(2πd) that any two-layer ReLU network needs on max(1 − ‖x‖, 0), certified for every width: it saturates "
        "in d at a fixed ε, is mild in ε at a fixed d, and explodes in both."
    )
    yield Chart("norm-needed", caption, [[Panel(series, axis, Axis("path norm needed"))]], (3.0,))
    yield Sheet("norm-table", "Path norm needed", caption, table)
