"""``within``: another claim about a part of a study.

For studies that measure the same methods on several targets or tasks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.evidence import Evidence
from analysis.registry import call_part, load_part
from analysis.verdicts import Measurement, not_run


def within(
    evidence: Evidence, where: Mapping[str, Any], predicate: str, thresholds: Mapping[str, Any]
) -> Measurement:
    """``predicate`` with its ``thresholds``, for the cells whose configuration has these values.

    ``where``: for instance ``{target: random_polynomial}`` or ``{task.noise: 0.1}``. Tables of
    fitted lines keep only the lines that hold such cells.
    """
    rows = evidence.trainings
    for key, value in where.items():
        column = key if key in rows else f"config.{key}"
        if column not in rows:
            return not_run(f"nothing was measured with {key}")
        rows = rows[rows[column] == value]
    if rows.empty:
        values = ", ".join(f"{key} = {value}" for key, value in where.items())
        return not_run(f"no cell with {values}")
    function = load_part("predicates", predicate, "within")
    part = _restrict(evidence, rows)
    measurement: Measurement = call_part(function, part, thresholds, "within")
    return measurement


def _restrict(evidence: Evidence, rows: pd.DataFrame) -> Evidence:
    """The evidence about the cells of these trainings."""
    part = replace(evidence, trainings=rows)
    if "line" in rows:
        others = set(evidence.trainings["line"]) - set(rows["line"])
        part = replace(
            part,
            exponents=_drop_lines(evidence.exponents, others),
            local=_drop_lines(evidence.local, others),
            depth=_drop_lines(evidence.depth, others),
        )
    if "cell_id" in part.nstar:
        part = replace(part, nstar=part.nstar[part.nstar["cell_id"].isin(rows["cell_id"])])
    return part


def _drop_lines(table: pd.DataFrame, lines: Collection[str]) -> pd.DataFrame:
    if "line" not in table:
        return table
    return table[~table["line"].isin(lines)]
