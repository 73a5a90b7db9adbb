"""The cells of a job: what each one is (its identity), and what its ``config.yaml`` shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bfc.experiment.identity import canonical, short_name
from bfc.experiment.job import Job

SCHEMA = 1
"""Version of the identity's form; raised when the same components must give new cells."""
SHOWN_COMPONENTS = (
    "target",
    "task",
    "representation",
    "learner",
    "schedule",
    "optimizer",
    "probe",
    "baseline",
    "measure",
)
"""Components in the order of config.yaml."""


@dataclass(frozen=True)
class CellSpec:
    """``identity`` holds every value that changes a number; ``cell_id`` is its hash."""

    kind: str
    """``learner`` or ``baseline``."""
    method: str
    identity: Mapping[str, Any]
    config: Mapping[str, Any]
    """What config.yaml shows: the identity with display names and axes on top."""

    @property
    def cell_id(self) -> str:
        text = json.dumps(self.identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def cell_specs(job: Job) -> list[CellSpec]:
    """The one or two cells of a job, the learner's first."""
    specs = []
    if job.learner is not None:
        specs.append(_learner_spec(job))
    if job.baseline is not None:
        specs.append(_baseline_spec(job))
    return specs


def _learner_spec(job: Job) -> CellSpec:
    assert job.schedule is not None
    parts = {
        "learner": canonical(job.learner),
        "schedule": canonical(job.schedule),
        "optimizer": canonical(job.optimizer),
        "probe": canonical(job.probe),
        "measure": canonical(job.measure),
    }
    identity = {**_shared_identity(job), **parts, "dtype": job.compute.dtype}
    method = f"{job.schedule.name} {short_name(job.learner)}{_representation_suffix(job)}"
    return _spec("learner", method, identity, job)


def _baseline_spec(job: Job) -> CellSpec:
    """A baseline's identity holds nothing of the learner."""
    assert job.baseline is not None
    parts = {"baseline": canonical(job.baseline), "measure": {"test": job.measure.test}}
    method = f"{job.baseline.label}{_representation_suffix(job)}"
    return _spec("baseline", method, {**_shared_identity(job), **parts}, job)


def _shared_identity(job: Job) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "target": canonical(job.family),
        "task": canonical(job.task),
        "representation": canonical(job.representation),
    }


def _representation_suffix(job: Job) -> str:
    return "" if job.representation is None else f" on {short_name(job.representation)}"


def _spec(kind: str, method: str, identity: Mapping[str, Any], job: Job) -> CellSpec:
    head = {
        "kind": kind,
        "method": method,
        "target_name": short_name(job.family),
        "d": job.target.d,
        "L": max(job.target.levels, default=1),
        "degree": job.target.degree,
        "facts": dict(job.target.facts()),
    }
    components = {name: identity.get(name) for name in SHOWN_COMPONENTS}
    rest = {key: value for key, value in identity.items() if key not in components}
    return CellSpec(kind, method, identity, {**head, **components, **rest})
