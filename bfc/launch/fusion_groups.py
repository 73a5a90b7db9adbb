"""Fusion groups: the jobs of a sweep whose trainings one process may run in common stacks.

Jobs can be fused whose learners have the same fusion key (:mod:`bfc.engine.signature`). A manifest
holds it as a number per job under ``shape``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

SHARED_KEYS = ("shape", "wave", "stored")
"""What the jobs of a fusion group have in common, as keys of a manifest's jobs."""

JobEntry = Mapping[str, Any]
"""What a manifest says of a job."""


def take_fusion_group(
    jobs: Sequence[JobEntry],
    numbers: Iterable[int],
    max_jobs: int,
    max_seconds: float = math.inf,
) -> list[int]:
    """The first of these jobs and those after it that may be fused with it.

    A group has at most ``max_jobs`` and ``max_seconds`` of predicted work; its jobs share their
    fusion key and wave, are all stored or all not, and no two have a cell in common.
    """
    first, *others = numbers
    group = [first]
    if jobs[first].get("shape") is None:
        return group
    key = _group_key(jobs[first])
    cells = set(jobs[first]["cells"])
    seconds = jobs[first].get("seconds", 0.0)
    for number in others:
        if len(group) >= max_jobs:
            break
        job = jobs[number]
        total = seconds + job.get("seconds", 0.0)
        if _group_key(job) != key or total > max_seconds or not cells.isdisjoint(job["cells"]):
            continue
        group.append(number)
        cells.update(job["cells"])
        seconds = total
    return group


def split_into_fusion_groups(
    jobs: Sequence[JobEntry],
    numbers: Iterable[int],
    max_jobs: int,
    processes: int = 1,
    max_seconds: float = math.inf,
) -> Iterator[list[int]]:
    """Divide jobs into fusion groups, small enough that equal jobs occupy all ``processes``."""
    remaining = dict.fromkeys(numbers)
    sizes = Counter(_group_key(jobs[number]) for number in remaining)
    while remaining:
        first = next(iter(remaining))
        per_process = -(-sizes[_group_key(jobs[first])] // processes)
        group = take_fusion_group(jobs, remaining, min(max_jobs, per_process), max_seconds)
        yield group
        for number in group:
            del remaining[number]


def _group_key(job: JobEntry) -> tuple[Any, ...]:
    return tuple(job.get(key) for key in SHARED_KEYS)
