"""From a composed configuration to one checked job: its components, and whether they fit each
other.

A job is what one Hydra run asks for: the cell of a learner, the cell of a baseline, or both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

from bfc.component import Component
from bfc.errors import UserError, nearest, require
from bfc.experiment.components import GROUPS, class_paths, component, find_class
from bfc.experiment.identity import short_name
from bfc.paths import local_path
from bfc.types import (
    Baseline,
    Learner,
    Measure,
    Optimizer,
    Probe,
    Schedule,
    Stage,
    Target,
    TargetWrapper,
    Tracker,
)

SCALARS = ("results", "study")
"""Keys of a configuration that are no config groups."""


@dataclass(frozen=True)
class Compute(Component, config_key="compute"):
    """Where and how a cell runs; only ``dtype`` changes numbers beyond rounding."""

    identity_name: ClassVar[str] = "bfc.config.Compute"

    device: str = "auto"
    """``auto`` (a GPU if torch sees one), ``cpu``, ``cuda`` or ``cuda:<i>``."""
    dtype: Literal["float32", "float64"] = "float32"
    stack: int | Literal["auto"] = "auto"
    """Trainings fused in one stack; auto: what suits the device (:mod:`bfc.engine.stack_size`)."""
    compile: Literal["auto", "never", "always"] = "auto"
    """Whether optimizer steps run as generated code: ``auto`` where a stack gains by it."""
    threads: int = 1
    """Threads of one process for tensor work; sweeps run one process per core instead."""
    checkpoint_seconds: float = 30.0
    """Seconds between two checkpoints of a stack."""

    def __post_init__(self) -> None:
        numbered = self.device.startswith("cuda:") and self.device[5:].isdigit()
        valid_device = self.device in ("auto", "cpu", "cuda") or numbered
        require(valid_device, "compute.device", self.device, "auto, cpu, cuda or cuda:<number>")
        valid_stack = self.stack == "auto" or self.stack >= 1
        require(valid_stack, "compute.stack", self.stack, "auto or an integer >= 1")
        valid_threads = 1 <= self.threads <= 1024
        require(valid_threads, "compute.threads", self.threads, "an integer from 1 to 1024")
        valid_seconds = self.checkpoint_seconds >= 0
        require(
            valid_seconds, "compute.checkpoint_seconds", self.checkpoint_seconds, "a number >= 0"
        )


@dataclass(frozen=True)
class Job:
    """One checked Hydra job: its components (None where a group is ``none``).

    ``target`` is what methods see: ``family``, the group's own component, under the task and the
    representation.
    """

    family: Target
    target: Target
    task: TargetWrapper | None
    representation: TargetWrapper | None
    learner: Learner | None
    schedule: Schedule | None
    optimizer: Optimizer | None
    probe: Probe | None
    baseline: Baseline | None
    measure: Measure
    tracker: Tracker | None
    compute: Compute
    results: str
    study: Mapping[str, Any] | None

    @property
    def study_name(self) -> str | None:
        return self.study.get("name") if self.study else None


def load_job(config: Mapping[str, Any]) -> Job:
    """Build and check a job from plain nested containers.

    Raises :class:`UserError` with one sentence about the first thing that is wrong.
    """
    for key in config:
        if key not in (*GROUPS, *SCALARS):
            raise UserError(f"{key}: no such key; {nearest(key, (*GROUPS, *SCALARS))}")
    parts = {group: component(group, config.get(group)) for group in GROUPS}
    results = config.get("results", "results")
    is_path = isinstance(results, str) and bool(results.strip())
    hint = "; a number is one in quotes, or after ./" if isinstance(results, (int, float)) else ""
    require(is_path, "results", results, f"a folder name{hint}")
    results = str(local_path(results, "results"))
    study = config.get("study")
    valid_study = study is None or _is_study(study)
    require(
        valid_study, "study", study, "null or the study node of a file under sweeps/, with a name"
    )
    for group in ("target", "measure", "compute"):
        _require_component(group, parts[group], "every job")
    family = parts.pop("target")
    target = _wrap_target(family, parts["task"], parts["representation"])
    job = Job(**parts, family=family, target=target, results=results, study=study)
    check_job(job)
    return job


def _is_study(study: Any) -> bool:
    if not isinstance(study, Mapping):
        return False
    name = study.get("name")
    return isinstance(name, str) and bool(name.strip())


def _wrap_target(
    family: Target, task: TargetWrapper | None, representation: TargetWrapper | None
) -> Target:
    """The target under the task, then the representation."""
    target = family
    if task is not None:
        target = task.wrap(family)
        if target is not family and family.outputs > 1:
            raise UserError(
                f"task={short_name(task)}: changes labels that are numbers, and those of "
                f"{short_name(family)} are classes; allowed: task=regression without noise, "
                "which leaves them alone"
            )
    return target if representation is None else representation.wrap(target)


def check_outputs(part: Learner | Baseline, target: Target) -> None:
    """Refuse a learner or baseline that answers with one number on a target of several classes."""
    if target.outputs == 1 or part.supports_multi_output:
        return
    group = part.config_key
    options = []
    for name, path in class_paths(group).items():
        cls = cast(type[Learner | Baseline], find_class(group, path))
        if cls.supports_multi_output:
            options.append(name)
    raise UserError(
        f"{short_name(part)}: answers with one number, and the target has {target.outputs} "
        f"classes; allowed: {group}={', '.join(options)}"
    )


def check_job(job: Job) -> None:
    if job.learner is None and job.baseline is None:
        raise UserError(
            "learner=none and baseline=none: nothing to measure; set at least one of them"
        )
    if job.tracker is not None:
        job.tracker.check()
    if job.baseline is not None:
        check_outputs(job.baseline, job.target)
        job.baseline.check(job.target)
    if job.learner is not None:
        _check_learner(job, job.learner)


def _check_learner(job: Job, learner: Learner) -> None:
    check_outputs(learner, job.target)
    n_available = job.target.n_available
    if n_available is not None:
        allowed = f"at most {n_available}, the training rows of {short_name(job.family)}"
        require(job.measure.largest_n <= n_available, "measure.n", job.measure.largest_n, allowed)
    _require_component("schedule", job.schedule, "a learner")
    _require_component("optimizer", job.optimizer, "a learner")
    assert job.schedule is not None and job.optimizer is not None
    learner.check(job.target)
    stages = job.schedule.stages(learner.groups(job.target), learner.levels(job.target))
    if job.probe is not None:
        job.probe.check(job.target, learner)
    for stage in stages:
        _check_stage(job, learner, stage, job.schedule.name)
    if job.measure.validation == "none":
        patience = job.schedule.patience
        allowed = "null without validation (measure.validation)"
        require(patience is None, "schedule.patience", patience, allowed)
    _check_optimizer(job, job.optimizer, min(stage.steps for stage in stages))


def _check_stage(job: Job, learner: Learner, stage: Stage, schedule: str) -> None:
    """Whether a phase of the schedule makes sense for this learner on this target."""
    learner.check_present(job.target, stage.present)
    allowed = learner.penalties(job.target)
    for name in stage.penalties:
        if name not in allowed:
            options = nearest(name, allowed)
            raise UserError(
                f"schedule={schedule}: no regulariser {name} in this learner; {options}"
            )
    if stage.gap is not None and stage.gap not in job.target.gaps:
        raise UserError(
            f"schedule={schedule}: phase {stage.name} ends by an information gap, which "
            f"{short_name(job.family)} does not have at level {stage.gap}; give until as a number "
            "relative to chance"
        )


def _check_optimizer(job: Job, optimizer: Optimizer, shortest_phase: int) -> None:
    require(
        optimizer.warmup < shortest_phase,
        "optimizer.warmup",
        optimizer.warmup,
        f"below the shortest phase, {shortest_phase} steps; lower it or raise schedule.steps",
    )
    if job.measure.needs_constant_rate:
        require(
            optimizer.decay == "constant",
            "optimizer.decay",
            optimizer.decay,
            "constant with measure=online, where first passage must not depend on the horizon",
        )


def _require_component(group: str, part: Any, needed_by: str) -> None:
    if part is None:
        options = ", ".join(class_paths(group)) or f"a file under conf/{group}"
        raise UserError(f"{group}=none: {needed_by} needs one; allowed: {options}")
