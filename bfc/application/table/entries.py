"""The jobs of every entry of the table, or why a method cannot be measured on a target.

Nobody lists what cannot be measured: an entry is composed and checked like any job, and where that
is refused, the sentence of the refusal stands in the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, product
from pathlib import Path
from typing import Self

from analysis.progress_message import track
from bfc.application.moves import JobRequest
from bfc.application.study_jobs import is_finished
from bfc.application.table.layout import Column, Row, TableLayout
from bfc.errors import UserError
from bfc.experiment.cost import Cost
from bfc.hydra_plugins.registration import compose_grids
from bfc.launch.dependencies import split_into_waves
from bfc.launch.job import PlannedJob
from bfc.store.cells import Store
from bfc.types import Theory

NO_NATIVE = "no learner is built like this target"
"""Why methods that train such a learner cannot be measured."""
TRAINED_GROUPS = ("learner", "schedule", "optimizer", "probe")
"""Groups of keys that are about trained methods only."""


@dataclass(frozen=True, eq=False)
class PlannedEntry:
    """An entry with its jobs, one per value of the row, or the reason why there are none."""

    row: Row
    column: Column
    jobs: tuple[PlannedJob, ...] = ()
    refusal: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The ids of its cells."""
        return tuple(spec.cell_id for spec in chain.from_iterable(job.cells for job in self.jobs))

    @property
    def theory(self) -> Theory | None:
        """What the target states for this kind of method, at its largest size, about d."""
        if not self.jobs or self.row.axis != "d":
            return None
        stated: Mapping[str, Theory] = self.jobs[-1].job.family.theory()
        return next((stated[kind] for kind in self.column.theory if kind in stated), None)

    def find_failure(self) -> str:
        """Why a run of one of its cells failed, by the store; empty where none did."""
        for job in self.jobs:
            store = Store(job.job.results)
            for spec in job.cells:
                if failure := store.cell(spec.cell_id).failure():
                    return failure
        return ""

    def list_missing(self, model: Cost) -> MissingJobs:
        """Its jobs of which not everything is stored."""
        missing = [job for job in self.jobs if not is_finished(job)]
        requests = [JobRequest(job, model.seconds(job.job, job.cells)) for job in missing]
        return MissingJobs(self, tuple(requests))


@dataclass(frozen=True, eq=False)
class MissingJobs:
    """What is left to run of an entry."""

    entry: PlannedEntry
    requests: tuple[JobRequest, ...]

    @property
    def seconds(self) -> float:
        """Predicted, of one core."""
        return sum(request.seconds for request in self.requests)

    def predict_again(self, model: Cost) -> Self:
        """The same with the seconds of another model."""
        requests = tuple(request.predict_again(model) for request in self.requests)
        return replace(self, requests=requests)

    def predict_wall_seconds(self, cores: int) -> float:
        """On so many cores, which have nothing else to do; waves follow each other."""
        wall_seconds = 0.0
        for wave in split_into_waves([request.job.job for request in self.requests]):
            seconds = [self.requests[number].seconds for number in wave]
            wall_seconds += max(max(seconds, default=0.0), sum(seconds) / cores)
        return wall_seconds


def plan_entries(
    layout: TableLayout,
    size: str,
    rows: Sequence[Row],
    columns: Sequence[Column],
    results: Path,
    overrides: Sequence[str] = (),
) -> list[PlannedEntry]:
    """Every entry of ``rows`` × ``columns``, row by row.

    ``overrides`` stand on top of all entries whose kind of method they can be about.
    """
    pairs = list(product(rows, columns))
    grids = []
    for row, column in pairs:
        if not _lacks_learner(row, column):
            further = [text for text in overrides if is_about(text, column)]
            settings = list_arguments(layout, size, row, column)
            grids.append([*settings, *further, f"results={results}"])
    entries = []
    with closing(compose_grids(grids)) as outcomes:
        for row, column in track(pairs, "composing the entries"):
            entry = PlannedEntry(row, column, refusal=NO_NATIVE)
            if not _lacks_learner(row, column):
                outcome = next(outcomes)
                if isinstance(outcome, UserError):
                    entry = PlannedEntry(row, column, refusal=str(outcome))
                else:
                    entry = PlannedEntry(row, column, tuple(outcome))
            entries.append(entry)
    return entries


def find_group(override: str) -> str:
    """The config group of an override, such as ``target`` of ``+target.d=8``."""
    return override.lstrip("+~").partition("=")[0].partition(".")[0]


def is_about(override: str, column: Column) -> bool:
    """Whether an override can be about a method: those of baselines are not about trained ones."""
    group = find_group(override)
    if column.is_baseline:
        return group not in TRAINED_GROUPS
    return group != "baseline"


def check_entries(entries: Sequence[PlannedEntry]) -> None:
    """Refuse a row or a column with several entries none of which can be measured.

    Raises :class:`UserError`: its file is wrong.
    """
    for name in dict.fromkeys(entry.row.name for entry in entries):
        _check_file(f"row {name}", [entry for entry in entries if entry.row.name == name])
    for name in dict.fromkeys(entry.column.name for entry in entries):
        _check_file(f"column {name}", [entry for entry in entries if entry.column.name == name])


def _lacks_learner(row: Row, column: Column) -> bool:
    return column.native and not row.native


def list_arguments(layout: TableLayout, size: str, row: Row, column: Column) -> list[str]:
    """What ``python -m bfc.train -m`` would be given for an entry; later ones win."""
    smallest, largest = row.n[size]
    bounds = [f"baseline.n_max={largest}"]
    if not column.is_baseline:
        bounds = [f"measure.n_min={smallest}", f"measure.n_max={largest}"]
    settings = [
        *layout.common.select(column),
        *row.target,
        *(row.native if column.native else ()),
        *column.method,
        *layout.find_size(size).overrides.select(column),
        *bounds,
        *row.adjust.get(column.name, ()),
    ]
    values = ",".join(map(str, row.values[size]))
    return [*settings, f"{row.swept}={values}"]


def _check_file(name: str, entries: Sequence[PlannedEntry]) -> None:
    reasons = [entry.refusal for entry in entries]
    others = [reason for reason in reasons if reason and reason != NO_NATIVE]
    if others and all(reasons) and len(entries) > 1:
        raise UserError(f"{name}: can be measured nowhere: {others[0]}")
