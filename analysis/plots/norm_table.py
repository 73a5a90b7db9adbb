"""``norm_table``: the path norm that every two-layer ReLU network needs on the hinge.

As a figure and as a table.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import pandas as pd

from analysis.chart import Axis, Chart, Panel, Series, TableFigure
from analysis.evidence import Evidence
from analysis.path_norm import RadiusLaw, compute_norm_bounds
from analysis.series import choose_ticks
from analysis.style import COLOURS, MARKERS, LineStyle
from bfc.bounds.two_layer import Floor

ORDER = 24
CAPTION = (
    "Path norm Σ|a|‖w‖/√(2πd) that any two-layer ReLU network needs on max(1 − ‖x‖, 0), certified "
    "for every width: it saturates in d at a fixed ε, is mild in ε at a fixed d, and explodes in "
    "both."
)


def norm_table(
    evidence: Evidence, d: Sequence[int], eps: Sequence[float], law: RadiusLaw = "limit"
) -> Iterator[Chart | TableFigure]:
    """Norm against d with a line per ε, and the table of both bounds; d = 0 is large d.

    Points are certified lower bounds, bars reach up to what suffices. Computed here, from no
    training.
    """
    bounds = [compute_norm_bounds(law, size, level) for size, level in itertools.product(d, eps)]
    series = [_make_series(bounds, level, number) for number, level in enumerate(eps)]
    axis = Axis("d", ticks=choose_ticks(float(size) for size in d if size))
    panel = Panel(series, axis, Axis("path norm needed"))
    yield Chart("norm-needed", CAPTION, [[panel]], (3.0,))
    records = [_make_record(bound) for bound in bounds]
    yield TableFigure("norm-table", "Path norm needed", CAPTION, pd.DataFrame(records))


def _make_series(bounds: Sequence[Floor], eps: float, number: int) -> Series:
    points = []
    for bound in bounds:
        if bound.eps == eps and math.isfinite(bound.d):
            lower = bound.lower
            points.append({"x": bound.d, "y": lower, "lo": lower, "hi": bound.upper})
    style = LineStyle(COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)], "-")
    name = f"ε = {eps:g}"
    return Series(name, style, pd.DataFrame(points), "curve", name)


def _make_record(bound: Floor) -> dict[str, object]:
    return {
        "d": "∞" if math.isinf(bound.d) else f"{bound.d:g}",
        "ε": bound.eps,
        "lower": bound.lower,
        "upper": bound.upper,
        "gap": bound.gap,
    }
