"""A table of known n*: what the tests of its estimates, files and page read."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.field_table.entries import estimate_entries
from analysis.field_table.files import FieldTable
from analysis.field_table.ranking import profile_methods, rank_methods
from analysis.field_table.requests import (
    ColumnRequest,
    EntryRequest,
    RowRequest,
    TableRequest,
)
from bfc.types import Theory

EPS = 0.1
SIZES = (8, 10, 12, 16, 24, 32)
ROW = RowRequest("first", "first target", "d", 16)
OTHER = RowRequest("second", "second target", "d", 16)
COLUMNS = (
    ColumnRequest("fast", "fast method"),
    ColumnRequest("slow", "slow method"),
    ColumnRequest("stuck", "stuck method"),
    ColumnRequest("knowing", "knowing method", "coordinates"),
)
PROVENANCE = {
    "version": "1.0",
    "commit": "0123456789abcdef",
    "hardware": "a processor",
    "budget": "5m",
    "date": "2026-01-01",
    "command": "bfc table",
}


def simulate(
    cell: str, d: int, nstar: float, largest: int = 4096, outcome: str = "data_limited"
) -> pd.DataFrame:
    """Trainings of eight seeds whose risk falls as 1/n² through EPS at ``nstar``."""
    generator = np.random.default_rng([d, int(nstar)])
    rows = []
    for n in np.unique(np.geomspace(16, largest, 17).astype(int)):
        for seed in range(8):
            risk = EPS * (nstar / n) ** 2 * np.exp(0.3 * generator.normal())
            rows.append(
                {
                    "cell_id": cell,
                    "d": d,
                    "L": 3,
                    "n": int(n),
                    "seed": seed,
                    "risk": float(min(risk, 1.0)),
                    "kind": "training",
                    "outcome": "success" if risk <= EPS else outcome,
                    "seconds": 0.5,
                }
            )
    return pd.DataFrame(rows)


def simulate_line(name: str, prefactor: float, exponent: float, **settings) -> pd.DataFrame:
    """One cell per size, n* = prefactor d^exponent."""
    parts = [simulate(f"{name}-{d}", d, prefactor * d**exponent, **settings) for d in SIZES]
    return pd.concat(parts, ignore_index=True)


def list_cells(name: str) -> tuple[str, ...]:
    return tuple(f"{name}-{d}" for d in SIZES)


def make_table() -> FieldTable:
    """Two targets by four methods, of which one was not run and one cannot run."""
    trainings = pd.concat(
        [
            simulate_line("fast", 8.0, 1.0),
            simulate_line("slow", 1.0, 2.0),
            simulate_line("stuck", 1e6, 1.0, outcome="plateau"),
        ],
        ignore_index=True,
    )
    entries = [
        EntryRequest("first", "fast", list_cells("fast"), theory=Theory(1.0, "rate", "a paper")),
        EntryRequest("first", "slow", list_cells("slow"), theory=Theory(3.0, "lower", "a paper")),
        EntryRequest("first", "stuck", list_cells("stuck")),
        EntryRequest("first", "knowing", list_cells("knowing"), seconds_left=7200.0),
        EntryRequest("second", "fast", refusal="target=second: is not for <this> method"),
        EntryRequest("second", "slow", list_cells("nothing"), failure="out of memory"),
        EntryRequest("second", "stuck", list_cells("nothing"), seconds_left=60.0),
        EntryRequest("second", "knowing", list_cells("nothing"), seconds_left=60.0),
    ]
    request = TableRequest("demo", EPS, (ROW, OTHER), COLUMNS, entries)
    estimated = estimate_entries(request, trainings)
    rankings = []
    for row in request.rows:
        ranking = rank_methods(row, [e for e in estimated if e.row == row.name], EPS)
        if ranking is not None:
            rankings.append(ranking)
    profiles = profile_methods(COLUMNS, estimated, rankings)
    return FieldTable(request, estimated, rankings, profiles, PROVENANCE)
