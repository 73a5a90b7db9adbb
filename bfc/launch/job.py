"""One checked job of a sweep, and the order that a sweep's jobs must keep: what the launchers of
this program are handed, and what `bfc plan` shows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bfc.experiment.cell_spec import CellSpec, cell_specs
from bfc.experiment.job import Job, load_job
from bfc.launch.dependencies import earlier, waves
from bfc.store.cells import Store

ALIKE = ("shape", "wave", "stored")


@dataclass(frozen=True)
class Planned:
    """``overrides`` as on the command line, ``container`` resolved and frozen, ``job`` checked,
    ``cells`` it consists of."""

    overrides: tuple[str, ...]
    container: Mapping[str, Any]
    job: Job
    cells: tuple[CellSpec, ...]


def planned(overrides: Sequence[str], container: Mapping[str, Any]) -> Planned:
    """Raises :class:`bfc.errors.UserError` for a job that cannot be run."""
    job = load_job(container)
    Store(job.results).check()
    absolute = str(Path(job.results).resolve())
    job = replace(job, results=absolute)
    return Planned(
        tuple(overrides), {**container, "results": absolute}, job, tuple(cell_specs(job))
    )


def describe(
    jobs: Sequence[Planned], stored: Sequence[bool], seconds: Sequence[float]
) -> list[dict[str, Any]]:
    """What a manifest says of every job: its cells, its wave and the jobs it starts from, its
    predicted ``seconds``, its ``shape``."""
    loaded = [each.job for each in jobs]
    wave = {number: index for index, numbers in enumerate(waves(loaded)) for number in numbers}
    before = earlier(loaded)
    labels, shapes = _labels(jobs), _shapes(jobs, stored)
    return [
        {
            "overrides": list(each.overrides),
            "label": labels[i],
            "cells": [spec.cell_id for spec in each.cells],
            "methods": [spec.method for spec in each.cells],
            "d": each.job.target.d,
            "wave": wave[i],
            "earlier": before[i],
            "stored": stored[i],
            "seconds": round(seconds[i], 3),
            "shape": shapes[i],
        }
        for i, each in enumerate(jobs)
    ]


def _labels(jobs: Sequence[Planned]) -> list[str]:
    """The overrides that tell a job from the others; all of them where it is the only one."""
    common = set.intersection(*(set(each.overrides) for each in jobs)) if len(jobs) > 1 else set()
    return [
        " ".join(text for text in each.overrides if text not in common) or "the only job"
        for each in jobs
    ]


def _shapes(jobs: Sequence[Planned], stored: Sequence[bool]) -> list[int | None]:
    """A number per job, equal where learners can share stacks (:mod:`bfc.engine.scheduler`); None
    where nothing is left to train."""
    import torch

    from bfc.engine.signature import fusion_key
    from bfc.experiment.learner_run import recipe_of

    known: dict[Any, int] = {}
    return [
        None
        if done or each.job.learner is None
        else known.setdefault(
            (each.job.compute, fusion_key(recipe_of(each.job, torch.device("meta")))), len(known)
        )
        for each, done in zip(jobs, stored, strict=True)
    ]


def company(
    jobs: Sequence[Mapping[str, Any]],
    numbers: Iterable[int],
    most: int,
    most_seconds: float = math.inf,
) -> list[int]:
    """The first of these jobs (of a manifest) and those after it that may run beside it, ``most``
    in all and within ``most_seconds`` of predicted work: of its shape and wave, stored as it is or
    not, and no two with a cell in common."""
    first, *others = numbers
    cells, seconds, chosen = set(jobs[first]["cells"]), jobs[first].get("seconds", 0.0), [first]
    if jobs[first].get("shape") is None:
        return chosen
    for number in others:
        if len(chosen) >= most:
            break
        own = jobs[number]
        alike = all(own.get(key) == jobs[first].get(key) for key in ALIKE)
        if (
            alike
            and cells.isdisjoint(own["cells"])
            and seconds + own.get("seconds", 0.0) <= most_seconds
        ):
            chosen.append(number)
            cells.update(own["cells"])
            seconds += own.get("seconds", 0.0)
    return chosen


def companies(
    jobs: Sequence[Mapping[str, Any]],
    numbers: Iterable[int],
    most: int,
    processes: int = 1,
    most_seconds: float = math.inf,
) -> Iterator[list[int]]:
    """Jobs divided into those that run side by side (:func:`company`), so that jobs of one shape
    occupy all ``processes``."""
    left = dict.fromkeys(numbers)
    kind = {number: tuple(jobs[number].get(key) for key in ALIKE) for number in left}
    count = Counter(kind.values())
    while left:
        chosen = company(
            jobs, left, min(most, -(-count[kind[next(iter(left))]] // processes)), most_seconds
        )
        yield chosen
        for number in chosen:
            del left[number]


def pack(
    groups: Sequence[Sequence[int]],
    seconds: Mapping[int, float],
    most_seconds: float,
    most_cells: int | None = None,
    most_packs: int | None = None,
) -> list[list[int]]:
    """Divide groups of jobs (with their predicted seconds) into packs for one process each: longest
    first, each into the pack with least to do, with the fewest packs that keep every pack within
    ``most_seconds`` on average (a longer group has its own) and within ``most_cells`` jobs. A cap
    on the number of packs wins over both. Within a pack the order is that of the sweep."""
    if not groups:
        return []
    own = [sum(seconds[number] for number in group) for group in groups]
    rest = sum(predicted for predicted in own if predicted < most_seconds)
    count = sum(predicted >= most_seconds for predicted in own) + -int(-rest // most_seconds)
    if most_cells is not None:
        count = max(count, -(-sum(map(len, groups)) // most_cells))
    packs: list[list[int]] = [
        [] for _ in range(max(1, min(count, len(groups), most_packs or len(groups))))
    ]
    load = [0.0] * len(packs)
    for i in sorted(range(len(groups)), key=lambda i: (-own[i], i)):
        room = [
            p
            for p, numbers in enumerate(packs)
            if most_cells is None or len(numbers) + len(groups[i]) <= most_cells
        ]
        if not room and (most_packs is None or len(packs) < most_packs):
            room = [len(packs)]
            packs.append([])
            load.append(0.0)
        place = min(room or range(len(packs)), key=lambda p: (load[p], p))
        packs[place] += groups[i]
        load[place] += own[i]
    return [sorted(numbers) for numbers in packs if numbers]
