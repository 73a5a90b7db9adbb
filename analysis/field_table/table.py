"""The estimated table: its entries, who is first on every target, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import pandas as pd

from analysis.field_table.entries import Entry, estimate_entries
from analysis.field_table.ranking import Profile, Ranking, profile_methods, rank_targets
from analysis.field_table.requests import TableRequest
from bfc.durations import format_duration


@dataclass(frozen=True)
class Provenance:
    """How a table was made. A table grows over several runs, so what is said of its trainings comes
    from the store."""

    version: str
    """Of the program that wrote the table."""
    command: str
    """What measures all of it in one go."""
    budget: str
    """Of the last run."""
    date: str
    commits: Sequence[str]
    """Of the code that trained, "+" after those with uncommitted changes."""
    hardware: Sequence[str]

    @classmethod
    def from_environments(cls, environments: Sequence[Mapping[str, Any]], **values: str) -> Self:
        """With the commits and the hardware of stored cells."""
        commits, hardware = set(), set()
        for environment in environments:
            if commit := environment.get("commit"):
                commits.add(f"{commit}+" if environment.get("diff") else str(commit))
            if processor := environment.get("hardware"):
                hardware.add(str(processor))
        return cls(commits=sorted(commits), hardware=sorted(hardware), **values)

    def to_json(self) -> dict[str, Any]:
        """Plain values by name."""
        return asdict(self)


@dataclass(frozen=True)
class FieldTable:
    """What was asked for, and what the store says about it."""

    request: TableRequest
    entries: Sequence[Entry]
    rankings: Sequence[Ranking]
    profiles: Sequence[Profile]
    provenance: Provenance

    @property
    def citation(self) -> str:
        """How it was made, in a line."""
        made = self.provenance
        commits = [f"{commit[:10]}{'+' * commit.endswith('+')}" for commit in made.commits]
        parts = [f"bfc {made.version}"]
        if commits:
            parts.append(f"commit{'s' * (len(commits) > 1)} {' and '.join(commits)}")
        parts.append(
            f"table of size {self.request.size} at a relative risk of {self.request.eps:g}"
        )
        if made.hardware:
            parts.append(" and ".join(made.hardware))
        seconds = sum(entry.seconds for entry in self.entries)
        parts += [
            f"{format_duration(seconds)} of one core without tuning",
            f"budget of the last run {made.budget}",
            made.date,
        ]
        return f"{', '.join(parts)}."


def estimate_table(
    request: TableRequest, trainings: pd.DataFrame, provenance: Provenance
) -> FieldTable:
    """The table of ``request`` from stored ``trainings``, which have the column ``cell_id``."""
    entries = estimate_entries(request, trainings)
    rankings = rank_targets(request, entries)
    profiles = profile_methods(request.columns, entries, rankings)
    return FieldTable(request, entries, rankings, profiles, provenance)
