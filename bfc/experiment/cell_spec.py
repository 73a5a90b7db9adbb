"""The cells of a job: what each one is (its identity), and what its ``config.yaml`` shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bfc.experiment.components import GROUPS
from bfc.experiment.identity import canonical, short_name
from bfc.experiment.job import Job

SCHEMA = 1
"""Version of the identity's form; raised when the same components must give new cells."""
SHOWN_COMPONENTS = tuple(group for group in GROUPS if group not in ("tracker", "compute"))
"""The groups of config.yaml, in its order: those that say what is measured."""


@dataclass(frozen=True)
class CellSpec:
    """``identity`` holds every value that changes a number; ``cell_id`` is its hash."""

    kind: str
    """``learner`` or ``baseline``."""
    method: str
    identity: Mapping[str, Any]
    config: Mapping[str, Any]
    """What config.yaml shows: the components with their defaults, names and axes on top."""

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
        **_shared_parts(job),
        "learner": job.learner,
        "schedule": job.schedule,
        "optimizer": job.optimizer,
        "probe": job.probe,
        "measure": job.measure,
    }
    values = {"dtype": job.compute.dtype}
    method = f"{job.schedule.name} {short_name(job.learner)}{_representation_suffix(job)}"
    return _spec("learner", method, parts, values, job)


def _baseline_spec(job: Job) -> CellSpec:
    """A baseline's identity holds nothing of the learner."""
    assert job.baseline is not None
    parts = {**_shared_parts(job), "baseline": job.baseline}
    values = {"measure": {"test": job.measure.test}}
    method = f"{job.baseline.label}{_representation_suffix(job)}"
    return _spec("baseline", method, parts, values, job)


def _shared_parts(job: Job) -> dict[str, Any]:
    """The components that a learner's and a baseline's cell have in common."""
    return {"target": job.family, "task": job.task, "representation": job.representation}


def _representation_suffix(job: Job) -> str:
    return "" if job.representation is None else f" on {short_name(job.representation)}"


def _spec(
    kind: str, method: str, parts: Mapping[str, Any], values: Mapping[str, Any], job: Job
) -> CellSpec:
    """A cell of these components and other values of its identity."""
    head = {
        "kind": kind,
        "method": method,
        "target_name": short_name(job.family),
        "d": job.target.d,
        "L": job.target.shown_depth,
        "degree": job.target.degree,
        "facts": dict(job.target.facts()),
    }
    identity = _identity(parts, values)
    complete = _identity(parts, values, complete=True)
    components = {name: complete.get(name) for name in SHOWN_COMPONENTS}
    rest = {key: value for key, value in complete.items() if key not in components}
    return CellSpec(kind, method, identity, {**head, **components, **rest})


def _identity(
    parts: Mapping[str, Any], values: Mapping[str, Any], complete: bool = False
) -> dict[str, Any]:
    canonical_parts = {name: canonical(part, complete) for name, part in parts.items()}
    return {"schema": SCHEMA, **canonical_parts, **values}
