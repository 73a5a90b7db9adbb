"""From a composed configuration to checked components and the identity of each cell. Every YAML maps one-to-one to a dataclass of
this package; types are checked against its annotations, ranges by the class itself, fits between components here, so that
a bad value costs one sentence and no compute."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
import inspect
import json
import math
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from bfc.errors import UserError, nearest, require, shown, similar

SCHEMA = 1
"""Version of the identity's form; raised when the same components must give new cells."""
ROLES = {"target": "draw", "task": "over", "representation": "over", "learner": "init_params", "schedule": "stages",
         "optimizer": "step", "probe": "measure", "baseline": "curve", "measure": "trainings", "tracker": "show",
         "compute": "checkpoint_seconds"}
"""Group → what a class must have to be chosen for it."""
GROUPS = tuple(ROLES)
SCALARS = ("results", "study")


@dataclass(frozen=True)
class Compute:
    """Where and how a cell runs. ``stack``: trainings fused in one stack (auto: what suits the device,
    :mod:`bfc.engine.size`); only ``dtype`` changes numbers beyond rounding."""

    device: str = "auto"
    """``auto`` (a GPU if torch sees one), ``cpu``, ``cuda`` or ``cuda:<i>``."""
    dtype: typing.Literal["float32", "float64"] = "float32"
    stack: int | typing.Literal["auto"] = "auto"
    threads: int = 1
    """Threads of one process for tensor work; sweeps run one process per core instead."""
    checkpoint_seconds: float = 30.0

    def __post_init__(self) -> None:
        known = self.device in ("auto", "cpu", "cuda") or (self.device.startswith("cuda:") and self.device[5:].isdigit())
        require(known, "compute.device", self.device, "auto, cpu, cuda or cuda:<number>")
        require(self.stack == "auto" or self.stack >= 1, "compute.stack", self.stack, "auto or an integer >= 1")
        require(1 <= self.threads <= 1024, "compute.threads", self.threads, "an integer from 1 to 1024")
        require(self.checkpoint_seconds >= 0, "compute.checkpoint_seconds", self.checkpoint_seconds, "a number >= 0")


@dataclass(frozen=True)
class Job:
    """One Hydra job, checked: the components (None where a group is ``none``) and what was asked for. ``target`` is what methods see:
    ``family``, the group's own component, under the task and the representation."""

    family: Any
    target: Any
    task: Any
    representation: Any
    learner: Any
    schedule: Any
    optimizer: Any
    probe: Any
    baseline: Any
    measure: Any
    tracker: Any
    compute: Compute
    results: str
    study: Mapping[str, Any] | None

    @property
    def study_name(self) -> str | None:
        return self.study.get("name") if self.study else None


@dataclass(frozen=True)
class CellSpec:
    """What a cell is: ``identity`` holds every value that changes a number, ``cell_id`` is its hash."""

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


def load(config: Mapping[str, Any]) -> Job:
    """Build and check a job from plain nested containers; raises :class:`UserError` with one sentence."""
    for key in config:
        if key not in (*GROUPS, *SCALARS):
            raise UserError(f"{key}: no such key; {nearest(key, (*GROUPS, *SCALARS))}")
    parts = {name: component(name, config.get(name)) for name in GROUPS}
    results, study = config.get("results", "results"), config.get("study")
    require(isinstance(results, str) and bool(results.strip()), "results", results, "a folder name")
    named = isinstance(study, Mapping) and isinstance(study.get("name"), str) and bool(study["name"].strip())
    require(study is None or named, "study", study, "null or the study node of a file under sweeps/, with a name")
    family = parts.pop("target")
    job = Job(**parts, family=family, target=_seen(family, parts), results=results, study=study)
    _check_fit(job)
    return job


def _seen(family: Any, parts: Mapping[str, Any]) -> Any:
    """The target under the task, then the representation."""
    for name in ("task", "representation"):
        lens, inner = parts[name], family
        family = inner if lens is None or inner is None else lens.over(inner)
        if name == "task" and family is not inner and inner.outputs > 1:
            raise UserError(f"task={_short(lens)}: changes labels that are numbers, and those of {_short(inner)} are classes; allowed: "
                            "task=regression without noise, which leaves them alone")
    return family


def check_outputs(part: Any, target: Any) -> None:
    """Refuse a learner or baseline that answers with one number on a target of several classes, and more rows than there are."""
    if target.outputs > 1 and not getattr(part, "many_outputs", False):
        raise UserError(f"{_short(part)}: answers with one number, and the target has {target.outputs} classes; allowed: learner=resnet, "
                        "conv_resnet")


def _check_fit(job: Job) -> None:
    for name in ("target", "measure", "compute"):
        _needed(job, name, "every job")
    if job.learner is None and job.baseline is None:
        raise UserError("learner=none and baseline=none: nothing to measure; set at least one of them")
    if job.tracker is not None:
        job.tracker.check()
    if job.baseline is not None:
        check_outputs(job.baseline, job.target)
        job.baseline.check(job.target)
    if job.learner is None:
        return
    check_outputs(job.learner, job.target)
    if job.target.available is not None:
        most = getattr(job.measure, "n_max", None) or max(training.n for training in job.measure.trainings())
        require(most <= job.target.available, "measure.n", most,
                f"at most {job.target.available}, the training rows of {_short(job.family)}")
    for name in ("schedule", "optimizer"):
        _needed(job, name, "a learner")
    job.learner.check(job.target)
    stages = job.schedule.stages(job.learner.groups(job.target), job.learner.levels(job.target))
    if job.probe is not None:
        job.probe.check(job.target, job.learner)
    for stage in stages:
        job.learner.check_present(job.target, stage.present)
        for name in stage.penalties:
            if name not in (allowed := job.learner.penalties(job.target)):
                raise UserError(f"schedule={job.schedule.name}: no regulariser {name} in this learner; {nearest(name, allowed)}")
        if stage.gap is not None and stage.gap not in job.target.gaps:
            raise UserError(f"schedule={job.schedule.name}: phase {stage.name} ends by an information gap, which {_short(job.family)} "
                            f"does not have at level {stage.gap}; give until as a number relative to chance")
    if job.measure.validation == "none":
        require(job.schedule.patience is None, "schedule.patience", job.schedule.patience, "null without validation (measure.validation)")
    shortest = min(stage.steps for stage in stages)
    require(job.optimizer.warmup < shortest, "optimizer.warmup", job.optimizer.warmup,
            f"below the shortest phase, {shortest} steps; lower it or raise schedule.steps")
    if job.measure.needs_constant_rate:
        require(job.optimizer.decay == "constant", "optimizer.decay", job.optimizer.decay,
                "constant with measure=online, where first passage must not depend on the horizon")


def _needed(job: Job, name: str, by: str) -> None:
    if getattr(job, name) is None:
        raise UserError(f"{name}=none: {by} needs one; allowed: {', '.join(_options(name)) or 'a file under conf/' + name}")


def component(key: str, node: Any) -> Any:
    """The dataclass that ``node`` (a mapping with ``_target_``) describes, or None where the group is ``none``, that is where
    ``_target_`` is null; other keys are then left over from a study that sets them for its other blocks."""
    if node is None or (isinstance(node, Mapping) and (not node or node.get("_target_", "") is None)):
        return None
    if not isinstance(node, Mapping):
        raise UserError(f"{key}={shown(node)}: must be a group option with a _target_")
    cls = _class(key, node.get("_target_"))
    values = {name: value for name, value in node.items() if name != "_target_"}
    part = construct(key, cls, values)
    for name, value in values.items():
        require(all(map(math.isfinite, _floats(value))), f"{key}.{name}", value, "finite")
    return part


def _class(key: str, path: Any) -> type:
    """The dataclass at a dotted path inside this package that can play the role ``key``; anything else is refused."""
    within = isinstance(path, str) and path.startswith("bfc.") and path.count(".") >= 2
    require(within, f"{key}._target_", path, f"a {key} class of this package, bfc.<module>.<Class>")
    module, _, name = path.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{key}._target_={path}: no such class ({error}); {nearest(path, _options(key).values())}") from error
    suits = isinstance(cls, type) and dataclasses.is_dataclass(cls) and cls.__module__.startswith("bfc.") and hasattr(cls, ROLES[key])
    if not suits or inspect.isabstract(cls) or (cls.__subclasses__() and path not in _options(key).values()):
        raise UserError(f"{key}._target_={path}: is no {key} class of this package; {nearest(path, _options(key).values())}")
    return cls


@functools.cache
def _options(group: str) -> Mapping[str, str]:
    """The options of a group that have a class: file name → class path."""
    import yaml

    from bfc.launch.folders import CONF

    nodes = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((CONF / group).glob("*.yaml"))}
    return {name: node["_target_"] for name, node in nodes.items() if isinstance(node, Mapping) and node.get("_target_")}


def _check_keys(path: str, hint: Any, value: Any) -> None:
    """Refuse unknown and missing keys of a dataclass and of those within it."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        fields, hints = {f.name: f for f in dataclasses.fields(hint) if f.init}, _hints(hint)
        for name in value:
            if name not in fields:
                raise UserError(f"{path}.{name}: no such key; {nearest(str(name), fields)}")
        for name, f in fields.items():
            if name in value:
                _check_keys(f"{path}.{name}", hints[name], value[name])
            elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
                raise UserError(f"{path}.{name}: is missing; it must be {describe(hints[name])}")
    elif get_origin(hint) in (typing.Union, types.UnionType) and isinstance(value, Mapping):
        for option in get_args(hint):
            _check_keys(path, option, value)
    elif get_origin(hint) is tuple and isinstance(value, list):
        for i, part in enumerate(value):
            _check_keys(f"{path}[{i}]", get_args(hint)[0], part)


def construct(key: str, cls: type, values: Mapping[str, Any]) -> Any:
    """A dataclass from plain values, keys and types checked; raises :class:`UserError` with one sentence about ``key.<name>``."""
    _check_keys(key, cls, values)
    return _construct(key, cls, values)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


@functools.cache
def _adapter(cls: type) -> Any:
    import pydantic

    return pydantic.TypeAdapter(cls)


def _construct(key: str, cls: type, values: Mapping[str, Any]) -> Any:
    import pydantic

    try:
        return _adapter(cls).validate_json(json.dumps(values), strict=True)
    except pydantic.ValidationError as error:
        every = error.errors()
        for cause in (each.get("ctx", {}).get("error") for each in every):
            if isinstance(cause, UserError):
                raise cause from None
        raise UserError(_complaint(key, cls, values, every[0]["loc"])) from None


def _complaint(path: str, hint: Any, value: Any, location: tuple[int | str, ...]) -> str:
    """The sentence about the innermost key of ``location`` that a reader can change."""
    for step in location:
        if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
            path, hint, value = f"{path}.{step}", _hints(hint)[str(step)], value.get(step)
        elif get_origin(hint) is tuple and dataclasses.is_dataclass(get_args(hint)[0]) and isinstance(value, list):
            path, hint, value = f"{path}[{step}]", get_args(hint)[0], value[int(step)]
        else:
            break
    close = similar(value, _names(hint)) if isinstance(value, str) else None
    return f"{path}={shown(value)}: must be {describe(hint)}{f'; did you mean {close}?' if close else ''}"


def _names(hint: Any) -> list[str]:
    """The names that a type annotation allows."""
    if get_origin(hint) is typing.Literal:
        return [str(name) for name in get_args(hint)]
    return [name for part in get_args(hint) for name in _names(part)] if get_origin(hint) in (typing.Union, types.UnionType) else []


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _floats(part)


def describe(hint: Any) -> str:
    """A type annotation in words: ``an integer, a list of integers or null``."""
    names = {int: "an integer", float: "a number", str: "a text", bool: "true or false", type(None): "null"}
    if hint in names:
        return names[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.Literal:
        return _either(list(map(str, arguments)))
    if origin in (typing.Union, types.UnionType):
        return _either([part for a in arguments for part in (_names(a) or [describe(a)])])
    if origin in (tuple, list):
        count = f"{len(arguments)} " if origin is tuple and Ellipsis not in arguments else ""
        return f"a list of {count}{_several(arguments[0])}"
    return f"a {getattr(hint, '__name__', str(hint)).lower()}"


def _either(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


def _several(hint: Any) -> str:
    """The plural of :func:`describe`."""
    if get_origin(hint) in (tuple, list):
        return f"lists of {_several(get_args(hint)[0])}"
    return f"{describe(hint).partition(' ')[2]}s"


def canonical(part: Any, keep: typing.Collection[str] | None = None) -> dict[str, Any] | None:
    """The identity of a component: class, numerics version and every field that changes a number, as plain JSON values."""
    if part is None:
        return None
    fields = [f.name for f in dataclasses.fields(part) if f.metadata.get("identity", True) and (keep is None or f.name in keep)]
    values = {name: getattr(part, name) for name in fields}
    cls = type(part)
    plain = json.loads(json.dumps(values, default=dataclasses.asdict))
    return {"_target_": f"{cls.__module__}.{cls.__qualname__}", "numerics": getattr(cls, "numerics", 1), **plain}


def cells(job: Job) -> list[CellSpec]:
    """The one or two cells of a job, the learner's first. A baseline's identity holds nothing of the learner."""
    specs, on = [], "" if job.representation is None else f" on {_short(job.representation)}"
    shared = {"schema": SCHEMA, "target": canonical(job.family), "task": canonical(job.task),
              "representation": canonical(job.representation)}
    if job.learner is not None:
        measure = canonical(job.measure)
        measure["_target_"] = "bfc.measure.online.Online" if job.measure.needs_constant_rate else "bfc.measure.base.Measure"
        identity = {**shared, **{name: canonical(getattr(job, name)) for name in ("learner", "schedule", "optimizer", "probe")},
                    "measure": measure, "dtype": job.compute.dtype}
        specs.append(_spec("learner", f"{job.schedule.name} {_short(job.learner)}{on}", identity, job))
    if job.baseline is not None:
        identity = {**shared, "baseline": canonical(job.baseline), "measure": {"test": job.measure.test}}
        specs.append(_spec("baseline", f"{job.baseline.label}{on}", identity, job))
    return specs


def _spec(kind: str, method: str, identity: Mapping[str, Any], job: Job) -> CellSpec:
    names = ("target", "task", "representation", "learner", "schedule", "optimizer", "probe", "baseline", "measure")
    shown = {"kind": kind, "method": method, "target_name": _short(job.family), "d": job.target.d, "L": max(job.target.levels, default=1),
             "degree": job.target.degree, "facts": dict(job.target.facts()), **{name: identity.get(name) for name in names}}
    return CellSpec(kind, method, identity, {**shown, **{k: v for k, v in identity.items() if k not in shown}})


def _short(part: Any) -> str:
    return type(part).__module__.rpartition(".")[2]
