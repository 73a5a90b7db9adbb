"""A table of known n*: what the tests of its estimates, files and page read."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.field_table.requests import (
    ColumnRequest,
    EntryRequest,
    RowRequest,
    TableRequest,
)
from analysis.field_table.table import FieldTable, Provenance, estimate_table
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
PROVENANCE = Provenance(
    version="1.0",
    command="bfc table",
    budget="5m",
    date="2026-01-01",
    commits=("0123456789abcdef", "fedcba9876543210+"),
    hardware=("a processor",),
)


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


def add_feature(trainings: pd.DataFrame, column: str, ratio: float) -> pd.DataFrame:
    """With an overlap, or an error of a level, that says 80 % are found at n* / ratio."""
    missing = (0.2 / EPS * ratio**-2 * trainings["risk"]).clip(upper=1)
    is_error = "subspace/" in column
    return trainings.assign(**{column: missing if is_error else 1 - missing})


def list_cells(name: str) -> tuple[str, ...]:
    return tuple(f"{name}-{d}" for d in SIZES)


def make_table() -> FieldTable:
    """Two targets by four methods, of which one was not run and one cannot run."""
    trainings = pd.concat(
        [
            add_feature(simulate_line("fast", 8.0, 1.0), "overlap/forms", 2.0),
            add_feature(simulate_line("slow", 1.0, 2.0), "joint/subspace/2", 1.0),
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
    return estimate_table(request, trainings, PROVENANCE)
