"""Who needs the fewest samples on a target, and how a method does over all targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.field_table.entries import Entry, EntryStatus
from analysis.field_table.requests import ColumnRequest, RowRequest, TableRequest
from bfc.stats.fewest_samples import compare_methods
from bfc.stats.nstar import Censored


@dataclass(frozen=True)
class Ranking:
    """The methods on one target at the largest size that most of them were measured at.

    Sizes at which none of them reaches the risk say nothing about who needs fewest and are passed
    over. ``probabilities``: column → probability that it needs the fewest samples, largest first.
    """

    row: RowRequest
    size: float
    probabilities: dict[str, float]

    @property
    def best(self) -> str | None:
        """The column that most probably needs the fewest samples."""
        return next(iter(self.probabilities), None)


@dataclass(frozen=True)
class Profile:
    """A method over all targets: in how many its entry has each status."""

    column: ColumnRequest
    counts: dict[EntryStatus, int]
    first: tuple[str, ...]
    """Rows on which it most probably needs the fewest samples."""


def rank_targets(request: TableRequest, entries: Sequence[Entry]) -> list[Ranking]:
    """The rankings of all rows that have one."""
    rankings = []
    for row in request.rows:
        of_row = [entry for entry in entries if entry.row == row.name]
        ranking = rank_methods(row, of_row, request.eps)
        if ranking is not None:
            rankings.append(ranking)
    return rankings


def rank_methods(row: RowRequest, entries: Sequence[Entry], eps: float) -> Ranking | None:
    """The ranking of one row; None where fewer than two methods were measured at one size."""
    measured = [entry for entry in entries if len(entry.trainings)]
    counts: dict[float, int] = {}
    reached: set[float] = set()
    for entry in measured:
        for size in entry.trainings[row.axis].unique():
            counts[float(size)] = counts.get(float(size), 0) + 1
        reached |= _list_reached(row, entry)
    counts = {size: count for size, count in counts.items() if size in reached}
    most = max(counts.values(), default=0)
    if most < 2:
        return None
    largest = max(size for size, count in counts.items() if count == most)
    tables: dict[str, pd.DataFrame] = {}
    for entry in measured:
        at_size = entry.trainings[entry.trainings[row.axis] == largest]
        if len(at_size):
            tables[entry.column] = at_size
    probabilities = compare_methods(tables, eps)
    ordered = sorted(probabilities.items(), key=lambda pair: -pair[1])
    return Ranking(row, largest, dict(ordered))


def _list_reached(row: RowRequest, entry: Entry) -> set[float]:
    """The sizes at which a method reaches the risk within the n that were tried."""
    if entry.fit is None:
        return set()
    table = entry.fit.nstar
    is_reached = table["nstar"].notna() & (table["censored"] != Censored.RIGHT.value)
    return set(table.loc[is_reached, row.axis].astype(float))


def profile_methods(
    columns: Sequence[ColumnRequest], entries: Sequence[Entry], rankings: Sequence[Ranking]
) -> list[Profile]:
    """One profile per method, in order."""
    profiles = []
    for column in columns:
        counts: dict[EntryStatus, int] = {}
        for entry in entries:
            if entry.column == column.name:
                counts[entry.status] = counts.get(entry.status, 0) + 1
        first = [ranking.row.title for ranking in rankings if ranking.best == column.name]
        profiles.append(Profile(column, counts, tuple(first)))
    return profiles
