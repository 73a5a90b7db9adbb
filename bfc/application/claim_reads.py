"""Which jobs of a study a claim reads, before anything has run.

A claim names methods among its thresholds, and may restrict them by values of the configuration
(``where``), by d, L and n. The jobs with such a cell are what has to run before it can be judged.
Where a restriction is not known here, a job too many is run, and never one too few; what is judged
is always selected by the predicate itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from bfc.experiment.cell_spec import CellSpec
from bfc.launch.job import PlannedJob

CONFIG_KEYS = {"alpha": "target.alpha", "widths": "learner.widths", "L": "L", "d": "d"}
"""Thresholds that are values of the configuration → its keys."""
BOUNDS = ("from_d", "to_d", "n")
"""Thresholds that bound what is read of the methods named beside them."""
HEADS = {"target": "target_name"}
"""Keys that tables of trainings call otherwise than config.yaml."""


@dataclass(frozen=True)
class Reading:
    """A method whose cells a claim reads, and the values that their configuration has."""

    method: str
    where: Mapping[str, Any]
    from_d: float = 0
    to_d: float = math.inf
    n: float = 0
    """The n of the trainings that are read of a cell, which others may have, too."""

    def matches(self, spec: CellSpec) -> bool:
        """Whether it reads this cell, if that is measured far enough."""
        if spec.method != self.method or not self.from_d <= spec.config["d"] <= self.to_d:
            return False
        return all(_has_value(spec.config, key, value) for key, value in self.where.items())


def list_readings(claim: Mapping[str, Any]) -> list[Reading]:
    """Every text among the thresholds of a claim that may be the name of a method."""
    return list(_walk(claim.get("thresholds", {}), {}))


def select_jobs(claim: Mapping[str, Any], jobs: Sequence[PlannedJob]) -> list[PlannedJob]:
    """The jobs with a cell that a claim reads at the d, L and n that it speaks of."""
    readings = list_readings(claim)
    return [
        job for job in jobs if _is_at_place(claim.get("at", {}), job) and list_cells(readings, job)
    ]


def select_read(
    claims: Iterable[Mapping[str, Any]], jobs: Sequence[PlannedJob]
) -> list[PlannedJob]:
    """The jobs that some claim reads; all of them where the claims name no method at all."""
    read: set[int] = set()
    for claim in claims:
        read.update(id(job) for job in select_jobs(claim, jobs))
    return [job for job in jobs if id(job) in read] or list(jobs)


def list_cells(readings: Sequence[Reading], job: PlannedJob) -> list[CellSpec]:
    """The cells of a job that are read."""
    largest = largest_n(job)
    able = [reading for reading in readings if reading.n <= largest]
    return [spec for spec in job.cells if any(reading.matches(spec) for reading in able)]


def select_required(
    claim: Mapping[str, Any], jobs: Sequence[PlannedJob]
) -> list[PlannedJob] | None:
    """The fewest of the jobs that measure all that a claim requires; None where they do not.

    A claim that requires no d, L or n reads all the jobs with its methods.
    """
    required = {**claim.get("requires", {}), **claim.get("at", {})}
    selected = [job for job in select_jobs(claim, jobs) if _is_at_place(required, job)]
    for key in ("d", "L"):
        cells = chain.from_iterable(job.cells for job in selected)
        present = {int(spec.config[key]) for spec in cells}
        if not set(_as_list(required.get(key, []))) <= present:
            return None
    return selected or None


def list_selections(claim: Mapping[str, Any], jobs: Sequence[PlannedJob]) -> list[list[PlannedJob]]:
    """The jobs to run for a claim that cannot be judged, smallest first; none where none suffice.

    First the fewest that measure all that it requires. Where it cannot be judged from these (it
    compares several d, of which it requires the largest), all that it reads.
    """
    fewest = select_required(claim, jobs)
    if fewest is None:
        return []
    return [fewest, select_jobs(claim, jobs)]


def _walk(thresholds: Mapping[str, Any], where: Mapping[str, Any]) -> Iterator[Reading]:
    if "predicate" in thresholds and "thresholds" in thresholds:
        yield from _walk(thresholds["thresholds"], {**where, **thresholds.get("where", {})})
        return
    values = {
        CONFIG_KEYS[key]: value
        for key, value in thresholds.items()
        if key in CONFIG_KEYS and value is not None
    }
    bounds = {key: thresholds[key] for key in BOUNDS if thresholds.get(key) is not None}
    for key, value in thresholds.items():
        name = "where" if key == "method" else f"{key}_where"
        restricted = {**where, **values, **(thresholds.get(name) or {})}
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                yield Reading(text, restricted, **bounds)


def _is_at_place(place: Mapping[str, Any], job: PlannedJob) -> bool:
    """Whether a job measures at one of the d and L of a place, with as many labels."""
    config = job.cells[0].config
    for key in ("d", "L"):
        if key in place and int(config[key]) not in _as_list(place[key]):
            return False
    least_n: float = max(_as_list(place.get("n", 0)))
    return largest_n(job) >= least_n


def largest_n(job: PlannedJob) -> float:
    """The most labels of any training of a job."""
    if job.job.baseline is not None and job.job.learner is None:
        return job.job.baseline.n_max
    return job.job.measure.largest_n or math.inf


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _has_value(config: Mapping[str, Any], key: str, value: Any) -> bool:
    """Whether a nested configuration has a value, as :mod:`analysis.filters` tells.

    What is no part of a configuration, such as n, restricts nothing, and so does a component that
    the cell has none of. A component without the field has no value of it: a target whose law is a
    name is none of those with ``target.law.components: 3``.
    """
    head, *names = HEADS.get(key, key).split(".")
    node: Any = config.get(head)
    if node is None:
        return True
    for name in names:
        if isinstance(node, Sequence) and not isinstance(node, str):
            return True  # an item of a list
        node = node.get(name) if isinstance(node, Mapping) else None
    if isinstance(node, (int, float)) and isinstance(value, (int, float)):
        return math.isclose(node, value)
    return bool(node == value)
