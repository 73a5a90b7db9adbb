"""``within``: another claim about a part of a study.

For studies that measure the same methods on several targets or tasks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.evidence import Evidence, Finding, no_data
from analysis.registry import call_part, load_part


def within(
    evidence: Evidence, where: Mapping[str, Any], predicate: str, thresholds: Mapping[str, Any]
) -> Finding:
    """``predicate`` with its ``thresholds``, for the cells whose configuration has these values.

    ``where``: for instance ``{target: random_polynomial}`` or ``{task.noise: 0.1}``. Tables of
    fitted lines keep only the lines that hold such cells.
    """
    rows = evidence.trainings
    for key, value in where.items():
        column = key if key in rows else f"config.{key}"
        if column not in rows:
            return no_data(f"nothing was measured with {key}")
        rows = rows[rows[column] == value]
    if rows.empty:
        values = ", ".join(f"{key} = {value}" for key, value in where.items())
        return no_data(f"no cell with {values}")
    function = load_part("predicates", predicate, "within")
    finding: Finding = call_part(function, _restrict(evidence, rows), thresholds, "within")
    return finding


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
