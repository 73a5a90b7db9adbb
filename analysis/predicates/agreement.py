"""``agreement``: a measured column against a predicted one."""

from __future__ import annotations

import math

from analysis.cells import select_alpha_rows
from analysis.evidence import Evidence, drop_unmeasured
from analysis.source import Source
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.estimates import SampleMedian

QUANTITY = "median of what was measured over what was predicted"


def agreement(
    evidence: Evidence,
    method: str,
    column: str,
    with_column: str,
    L: int | None = None,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> Measurement:
    """In every cell the median over seeds of the first column over the second lies in a band.

    Nothing is known of a missing value of a training that diverged.
    """
    missing = not_run(f"no {column} and {with_column} of {method}")
    rows = select_alpha_rows(evidence, method, L)
    if rows.empty or not {column, with_column} <= set(rows):
        return missing
    rows = drop_unmeasured(rows, [column, with_column])
    cells = [cell for _, cell in rows.groupby("cell_id")]
    if not cells:
        return missing
    parts = [
        Part(
            SampleMedian((cell[column] / cell[with_column]).to_numpy(float), scale="either"),
            f"alpha {cell['alpha'].iloc[0]}",
            frozenset(cell["cell_id"]),
        )
        for cell in cells
    ]
    return Measurement(parts, at_least, at_most, Source.of(*cells))
