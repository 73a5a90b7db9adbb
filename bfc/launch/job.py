"""One checked job of a sweep, and what a manifest says of it.

The launchers of this program are handed these jobs, and ``bfc plan`` shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bfc.engine.signature import fusion_key
from bfc.experiment.cell_spec import CellSpec, cell_specs
from bfc.experiment.job import Job, load_job
from bfc.experiment.learner_run import recipe_of
from bfc.launch.dependencies import find_dependencies, split_into_waves
from bfc.store.cells import Store


@dataclass(frozen=True)
class PlannedJob:
    """A job that is checked and ready to be launched."""

    overrides: tuple[str, ...]
    """As on the command line."""
    container: Mapping[str, Any]
    """Its configuration, resolved and frozen."""
    job: Job
    cells: tuple[CellSpec, ...]


def plan_job(overrides: Sequence[str], container: Mapping[str, Any]) -> PlannedJob:
    """Check a job; raises :class:`bfc.errors.UserError` for one that cannot be run."""
    job = load_job(container)
    Store(job.results).check()
    results = str(Path(job.results).resolve())
    job = replace(job, results=results)
    frozen = {**container, "results": results}
    return PlannedJob(tuple(overrides), frozen, job, tuple(cell_specs(job)))


def describe_jobs(
    planned: Sequence[PlannedJob], stored: Sequence[bool], seconds: Sequence[float]
) -> list[dict[str, Any]]:
    """What a manifest says of every job.

    Its cells, its wave and the jobs it starts from, its predicted ``seconds``, and its fusion key
    as a number (``shape``).
    """
    jobs = [entry.job for entry in planned]
    waves: dict[int, int] = {}
    for wave, numbers in enumerate(split_into_waves(jobs)):
        waves |= dict.fromkeys(numbers, wave)
    dependencies = find_dependencies(jobs)
    labels = label_jobs(planned)
    fusion_keys = _number_fusion_keys(jobs, stored)
    return [
        {
            "overrides": list(entry.overrides),
            "label": labels[i],
            "cells": [spec.cell_id for spec in entry.cells],
            "methods": [spec.method for spec in entry.cells],
            "d": entry.job.target.d,
            "wave": waves[i],
            "earlier": dependencies[i],
            "stored": stored[i],
            "seconds": round(seconds[i], 3),
            "shape": fusion_keys[i],
        }
        for i, entry in enumerate(planned)
    ]


def label_jobs(planned: Sequence[PlannedJob]) -> list[str]:
    """The overrides by which each job differs from the others."""
    if len(planned) == 1:
        return [" ".join(planned[0].overrides) or "the only job"]
    common = set.intersection(*(set(entry.overrides) for entry in planned)) if planned else set()
    labels = []
    for entry in planned:
        different = [text for text in entry.overrides if text not in common]
        labels.append(" ".join(different) or "the only job")
    return labels


def _number_fusion_keys(jobs: Sequence[Job], stored: Sequence[bool]) -> list[int | None]:
    """A number per job, equal where learners can share stacks.

    None where nothing is left to train.
    """
    numbers: list[int | None] = []
    key_numbers: dict[Any, int] = {}
    for job, is_stored in zip(jobs, stored, strict=True):
        if is_stored or job.learner is None:
            numbers.append(None)
            continue
        key = (job.compute, fusion_key(recipe_of(job, torch.device("meta"))))
        numbers.append(key_numbers.setdefault(key, len(key_numbers)))
    return numbers
