"""From which trainings a measurement was made, in numbers, in words and as a fingerprint.

A verdict names them, a claim's requirements are checked against them, and looks at the same
trainings are told by their fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

FINGERPRINT = ("cell_id", "kind", "n", "seed", "nstar", "lo", "hi", "seeds", "largest_n")
"""Columns that tell trainings, or estimates of n*, apart."""


@dataclass(frozen=True)
class Source:
    """What a measurement was made from: the sizes, dimensions, depths and seeds of its trainings.

    ``seeds`` is the smallest number of seeds of any part, 0 where no training was read, and
    ``most_seeds`` the largest, which is 0 where only one number is known.
    ``fingerprint`` is equal for the same rows, in whatever order they were read.
    """

    n: frozenset[int] = frozenset()
    d: frozenset[int] = frozenset()
    L: frozenset[int] = frozenset()
    seeds: int = 0
    fingerprint: str = ""
    steps: frozenset[int] = frozenset()
    """Optimizer steps of the trainings that did not diverge."""
    cells: frozenset[str] = frozenset()
    """Ids of the cells whose trainings were read."""
    most_seeds: int = 0

    @classmethod
    def of(cls, *tables: pd.DataFrame) -> Source:
        """Of the trainings of several parts, or of rows of n* (columns largest_n and seeds)."""
        sources = [_read_source(table) for table in tables if len(table)]
        if not sources:
            return cls()
        return cls(
            n=frozenset().union(*(source.n for source in sources)),
            d=frozenset().union(*(source.d for source in sources)),
            L=frozenset().union(*(source.L for source in sources)),
            seeds=min(source.seeds for source in sources),
            fingerprint=" ".join(sorted(source.fingerprint for source in sources)),
            steps=frozenset().union(*(source.steps for source in sources)),
            cells=frozenset().union(*(source.cells for source in sources)),
            most_seeds=max(source.most_seeds for source in sources),
        )

    def __str__(self) -> str:
        parts = [
            f"{name} = {_format_range(values)}"
            for name, values in (("d", self.d), ("L", self.L), ("n", self.n))
            if values
        ]
        if self.seeds:
            most = max(self.seeds, self.most_seeds)
            numbers = _format_range(frozenset({self.seeds, most}))
            parts.append(f"{numbers} seed" + "s" * (most > 1))
        return ", ".join(parts)


def _read_source(table: pd.DataFrame) -> Source:
    sizes = "largest_n" if "largest_n" in table else "n"
    fewest, most = _count_seeds(table)
    return Source(
        n=_whole_numbers(table, sizes),
        d=_whole_numbers(table, "d"),
        L=_whole_numbers(table, "L"),
        seeds=fewest,
        fingerprint=_hash_rows(table),
        steps=_whole_numbers(_drop_diverged(table), "steps"),
        cells=frozenset(table["cell_id"]) if "cell_id" in table else frozenset(),
        most_seeds=most,
    )


def _count_seeds(table: pd.DataFrame) -> tuple[int, int]:
    """The fewest and the most seeds of any cell of trainings, or of any row of n*."""
    if "seed" in table:
        whole = pd.Series("", table.index)
        counts = table.groupby(table.get("cell_id", whole))["seed"].nunique()
    else:
        counts = table["seeds"] if "seeds" in table else pd.Series([0])
    return int(counts.min()), int(counts.max())


def _hash_rows(table: pd.DataFrame) -> str:
    columns = [name for name in FINGERPRINT if name in table]
    hashes = pd.util.hash_pandas_object(table[columns].astype(str), index=False)
    return f"{len(table)}-{int(hashes.sum()):016x}"


def _drop_diverged(table: pd.DataFrame) -> pd.DataFrame:
    return table[~table["diverged"].astype(bool)] if "diverged" in table else table


def _whole_numbers(table: pd.DataFrame, column: str) -> frozenset[int]:
    if column not in table:
        return frozenset()
    return frozenset(int(value) for value in table[column].dropna().unique() if value > 0)


def _format_range(values: frozenset[int]) -> str:
    lo, hi = min(values), max(values)
    return f"{lo}" if lo == hi else f"{lo}–{hi}"
