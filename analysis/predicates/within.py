"""``within``: another claim about a part of a study, where it measures the same methods on several
targets or tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from analysis.evidence import Evidence, Finding, no_data
from analysis.registry import call_part, load_part


def within(
    evidence: Evidence, where: Mapping[str, Any], predicate: str, thresholds: Mapping[str, Any]
) -> Finding:
    """``predicate`` with its ``thresholds`` for the cells whose configuration has the values
    ``where``, such as ``{target: random_polynomial}`` or ``{task.noise: 0.1}``. Tables of fitted
    lines keep the lines that hold such cells only."""
    rows = evidence.trainings
    for key, value in where.items():
        column = key if key in rows else f"config.{key}"
        if column not in rows:
            return no_data(f"nothing was measured with {key}")
        rows = rows[rows[column] == value]
    if rows.empty:
        return no_data(
            "no cell with " + ", ".join(f"{key} = {value}" for key, value in where.items())
        )
    others = set(evidence.trainings["line"]) - set(rows["line"]) if "line" in rows else set()
    part = replace(
        evidence,
        trainings=rows,
        **{
            name: table[~table["line"].isin(others)]
            for name, table in (
                ("exponents", evidence.exponents),
                ("local", evidence.local),
                ("depth", evidence.depth),
            )
            if "line" in table
        },
    )
    if "cell_id" in part.nstar:
        part = replace(part, nstar=part.nstar[part.nstar["cell_id"].isin(rows["cell_id"])])
    return call_part(load_part("predicates", predicate, "within"), part, thresholds, "within")
