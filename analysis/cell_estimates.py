"""n* of every cell from its own trainings, found on disk where these have not changed.

A cell's rows in the table of n* follow from its trainings and the eps alone, so that a store of
many cells costs only what is new in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.estimate_cache import CachedEstimator, Task, compute_cached, describe_rows, hash_rows
from analysis.training_kinds import select_measured
from bfc.stats.nstar import summarise_cell

READ = ("n", "seed", "risk", "outcome", "kind", "diverged", "train_risk", "fresh")
"""Stored columns that the estimators read, besides the swept size."""
SHOWN = ("d", "validation")
"""Columns that an estimate of one cell reads besides."""
Request = tuple[str, tuple[float, ...]]
"""The id of a cell and the eps at which its n* is asked for."""


def estimate_cells(
    trainings: pd.DataFrame, requests: Sequence[Request], processes: int = 1
) -> list[list[dict[str, Any]]]:
    """The rows of every cell, one per eps, in order; columns as :func:`estimate_cell` returns.

    ``trainings``: of all cells. ``processes``: those that compute what is not on disk.
    """
    if not requests:
        return []
    columns = [name for name in (*READ, *SHOWN) if name in trainings]
    table = trainings[columns]
    hashes = hash_rows(table)
    places = trainings.groupby("cell_id").indices
    tasks = []
    for cell_id, eps in requests:
        rows = places[cell_id]
        content = f"{describe_rows(hashes[rows], columns)} {eps!r}"
        tasks.append(Task(content, (table.iloc[rows], eps)))
    return compute_cached(
        CachedEstimator(estimate_cell, ("bfc.stats", "analysis.training_kinds")),
        tasks,
        "estimating n*",
        processes,
    )


def estimate_cell(trainings: pd.DataFrame, eps: Sequence[float]) -> list[dict[str, Any]]:
    """The rows of one cell, one per eps, as plain values.

    Columns ``seeds, largest_n, validation`` and those of
    :class:`bfc.stats.nstar.CellSummary`.
    """
    measured = select_measured(trainings)
    head = {
        "seeds": int(measured["seed"].nunique()),
        "largest_n": int(measured["n"].max()) if len(measured) else 0,
        "validation": " and ".join(sorted(set(measured["validation"]))),
    }
    rows = []
    for one_eps in eps:
        summary = summarise_cell(trainings, one_eps)
        failures = [f"{count} {outcome}" for outcome, count in summary.failures.items()]
        rows.append(
            {
                **head,
                "eps": float(one_eps),
                **summary.nstar.as_row(),
                "failures": ", ".join(failures),
                "excluded": summary.excluded,
            }
        )
    return rows
