"""The library: from a target and a method to n* in a few lines, without Hydra or a store.

The same functions run a cell for the command line (:mod:`bfc.experiment`); here it lives in memory
unless a results folder is named. ``import bfc`` offers everything in :data:`__all__`, and works
where only torch, numpy, pandas and scipy are installed. :func:`compose` additionally needs Hydra,
and a results folder needs pyarrow and PyYAML.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch

from bfc.engine.stack_request import train_stack
from bfc.environment import resolve_device
from bfc.errors import UserError, format_value, require
from bfc.experiment.cell_runner import SilentObserver, measure_cell, run_cell
from bfc.experiment.cell_spec import CellSpec, cell_specs
from bfc.experiment.components import REQUIRED_METHOD
from bfc.experiment.job import Compute, Job, check_job
from bfc.measure.ladder import Ladder
from bfc.measure.single import Single
from bfc.optimizers.adam import Adam
from bfc.optimizers.sgd import SGD
from bfc.paths import local_path
from bfc.representations.base import Representation
from bfc.schedules import load_schedule
from bfc.stats.cell_counts import count_cell
from bfc.stats.exponent_fit import ExponentFit, fit_exponent
from bfc.stats.fit_warnings import find_cell_oddities
from bfc.stats.messages import describe_warning
from bfc.stats.nstar import NStar, estimate_nstar
from bfc.stats.table_checks import check_cell
from bfc.stats.training_table import build_training_table
from bfc.store.cells import Cell, Store
from bfc.store.memory import MemoryCell
from bfc.targets.wrapped import Wrapped
from bfc.tasks.regression import Regression
from bfc.types import (
    Baseline,
    Learner,
    Measure,
    Optimizer,
    Probe,
    Schedule,
    Target,
    TargetWrapper,
)

__all__ = [
    "SGD",
    "Adam",
    "ExponentFit",
    "Method",
    "NStar",
    "compose",
    "curve",
    "fit_exponent",
    "load",
    "nstar",
    "run",
]

Device = Literal["auto", "cpu", "cuda"] | str
_ARGUMENT = re.compile(
    r"\b(?:compute|measure|schedule)\.(device|dtype|stack|n|seeds|eps|test|steps)\b"
)
"""A configuration key that is an argument of a function here."""


@dataclass(frozen=True)
class Method:
    """How a learner is trained.

    ``schedule`` is a :class:`bfc.schedules.Schedule` or the name of a file of ``conf/schedule``,
    such as ``staged``, ``joint``, ``layerwise`` or ``refit``; ``steps`` replaces the steps of each
    of its phases. Raises :class:`bfc.errors.UserError` for parts of another kind.
    """

    learner: Learner
    schedule: str | Schedule = "staged"
    optimizer: Optimizer = field(default_factory=Adam)
    probe: Probe | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        words = "a learner such as bfc.learners.QuadraticDenseNet()"
        _require_kind("learner", self.learner, "learner", words)
        if not isinstance(self.schedule, str):
            words = "the name of a schedule such as staged, or a bfc.schedules.Schedule"
            _require_kind("schedule", self.schedule, "schedule", words)
        words = "an optimizer such as bfc.Adam(lr=0.01)"
        _require_kind("optimizer", self.optimizer, "optimizer", words)
        if self.probe is not None:
            words = "None or a probe such as bfc.probes.FeatureError()"
            _require_kind("probe", self.probe, "probe", words)

    def resolve_schedule(self) -> Schedule:
        """The schedule as an object. Raises :class:`UserError` for a name that does not exist."""
        if isinstance(self.schedule, str):
            changes = {} if self.steps is None else {"steps": self.steps}
            with _speaking_of_arguments():
                return load_schedule(self.schedule, **changes)
        require(self.steps is None, "steps", self.steps, "left out where schedule is an object")
        return self.schedule


@contextmanager
def _speaking_of_arguments() -> Iterator[None]:
    """Refusals name the arguments of the function rather than keys of the configuration."""
    try:
        yield
    except UserError as error:
        raise UserError(_ARGUMENT.sub(r"\1", str(error))) from None


@_speaking_of_arguments()
def run(
    target: Target | Sequence[Target],
    method: Method,
    n: int | Sequence[int] | Literal["fresh"] | None = None,
    seeds: int | Sequence[int] = 8,
    *,
    eps: float | Sequence[float] = (0.1, 0.01),
    measure: Measure | None = None,
    device: Device = "auto",
    dtype: Literal["float32", "float64"] = "float32",
    stack: int | Literal["auto"] = "auto",
    results: str | Path | None = None,
) -> pd.DataFrame:
    """Train a method on a target (or on several, such as one per d) and judge every training.

    ``n``: numbers of labels, ``"fresh"`` for new samples at every step. ``measure`` replaces ``n``,
    ``seeds`` and ``eps`` by a measure of :mod:`bfc.measure`, for instance an adaptive one.
    ``results``: a store to keep the trainings in; a rerun over it computes only what is missing.

    Returns one row per training: ``target, method, d, L, n, seed, kind, risk, train_risk, outcome``
    and more; outcomes are judged at the smallest ``eps``. Raises :class:`bfc.errors.UserError` for
    invalid values, before anything is trained.
    """
    _check_method(method)
    if measure is None:
        chosen = _measure(n, seeds, eps)
    else:
        words = "None or a measure such as bfc.measure.Adaptive()"
        chosen = _require_kind("measure", measure, "measure", words)
    compute = Compute(device=device, dtype=dtype, stack=stack)
    jobs = []
    for family in _list_targets(target):
        jobs.append(_job(family, chosen, compute, results, method=method))
    return _run_jobs(jobs, results)


@_speaking_of_arguments()
def curve(
    target: Target | Sequence[Target],
    baseline: Baseline,
    seeds: int | Sequence[int] = 4,
    *,
    eps: float | Sequence[float] = (0.1, 0.01),
    test: int = 16384,
    device: Device = "auto",
    results: str | Path | None = None,
) -> pd.DataFrame:
    """The learning curve of a baseline at every n of its grid, for every seed.

    Hyper-parameters are chosen on draws that are never measured on. Returns one row per (n, seed),
    with the columns of :func:`run`. Raises :class:`bfc.errors.UserError` for invalid values.
    """
    _check_baseline(baseline)
    chosen = Ladder(n=(16,), seeds=seeds, eps=eps, test=test)  # type: ignore[arg-type]
    compute = Compute(device=device)
    jobs = []
    for family in _list_targets(target):
        jobs.append(_job(family, chosen, compute, results, baseline=baseline))
    return _run_jobs(jobs, results)


def nstar(runs: pd.DataFrame, eps: float) -> NStar:
    """n* at ``eps`` with its 95 % interval, from the trainings of one method at one d.

    What is odd about the table (rows that do not count, words that were read as others, settings
    that vary) is a Python warning. Raises :class:`bfc.errors.UserError` where ``runs`` hold several
    d or methods, lack a column or hold a value that it cannot mean.
    """
    is_table = isinstance(runs, pd.DataFrame)
    require(is_table, "runs", _describe(runs), "a table that bfc.run or bfc.curve returned")
    frame, notices = check_cell(runs)
    table = build_training_table(frame, eps)
    cell = count_cell(table)
    for notice in [*notices, *find_cell_oddities(table, cell)]:
        warnings.warn(describe_warning(notice), stacklevel=2)
    return estimate_nstar(cell, eps)


def compose(*overrides: str) -> Job:
    """A checked job from the YAML files, as ``python -m bfc.train`` composes it.

    For instance ``compose("target=radial", "target.d=64", "measure=adaptive")``. Needs Hydra.
    """
    for override in overrides:
        require(isinstance(override, str), "override", override, "a text such as target.d=64")
    # Only here, since the rest of the library needs no Hydra.
    from bfc.hydra_plugins.hydra_errors import explain
    from bfc.hydra_plugins.registration import compose_sweep

    try:
        jobs = compose_sweep(list(overrides))
    except Exception as error:
        sentence = explain(error, overrides)
        if sentence is None:
            raise
        raise UserError(sentence) from error
    if len(jobs) != 1:
        raise UserError(f"{' '.join(overrides)}: is a sweep of {len(jobs)} jobs; must be one job")
    return jobs[0].job


def load(results: str | Path) -> pd.DataFrame:
    """Every training of a store, one row each, with the configuration as ``config.<key>``.

    Folders that cannot be read are left out with a warning. Raises
    :class:`bfc.errors.UserError` where there is no such folder. Needs pyarrow and PyYAML.
    """
    # Only here, since the rest of the library needs no pyarrow.
    from bfc.experiment.stored_config import fill_defaults
    from bfc.store.reading import read_store

    folder = _check_folder(results)
    require(folder.is_dir(), "results", results, "a results folder; there is none")
    stored = read_store(folder, fill_defaults)
    for problem in stored.problems:
        warnings.warn(f"left out: {problem}", stacklevel=2)
    return stored.trainings


def _is_kind(part: object, group: str) -> bool:
    """Whether an object, and no class, can be the component of a config group."""
    return hasattr(part, REQUIRED_METHOD[group]) and not isinstance(part, type)


def _require_kind(name: str, part: Any, group: str, words: str) -> Any:
    """``part``, if it is of its kind; ``words``: what it must be."""
    require(_is_kind(part, group), name, _describe(part), words)
    return part


def _describe(part: object) -> str:
    """An object in a sentence: plain values as they are, others by their class."""
    if isinstance(part, (str, int, float, list, tuple, type(None))):
        return format_value(part)
    return part.__name__ if isinstance(part, type) else f"{type(part).__name__}(...)"


def _check_method(method: object) -> None:
    words = "a bfc.Method, which run trains"
    if _is_kind(method, "baseline"):
        words += "; a baseline is measured with bfc.curve"
    if _is_kind(method, "learner"):
        words += f", for instance bfc.Method({_describe(method)})"
    require(isinstance(method, Method), "method", _describe(method), words)


def _check_baseline(baseline: object) -> None:
    words = "a baseline such as bfc.baselines.Polynomial(degree=4), which curve measures"
    if isinstance(baseline, Method) or _is_kind(baseline, "learner"):
        words += "; a bfc.Method is trained with bfc.run"
    _require_kind("baseline", baseline, "baseline", words)


def _list_targets(target: Target | Sequence[Target]) -> list[Target]:
    words = "a target such as bfc.targets.Parity(d=8), or a list of targets"
    targets = list(target) if isinstance(target, (list, tuple)) else [target]
    require(len(targets) > 0, "target", "[]", words)
    return [_require_kind("target", part, "target", words) for part in targets]


def _check_folder(results: object) -> Path:
    is_path = isinstance(results, (str, Path)) and bool(str(results).strip())
    require(is_path, "results", _describe(results), "a folder name")
    return local_path(str(results), "results")


def _measure(
    n: int | Sequence[int] | Literal["fresh"] | None,
    seeds: int | Sequence[int],
    eps: float | Sequence[float],
) -> Measure:
    shared: dict[str, Any] = {"seeds": seeds, "eps": eps}
    if n is None:
        raise UserError("n: is missing; must be a list of numbers of labels, or fresh")
    if isinstance(n, str):
        require(n == "fresh", "n", n, "a list of numbers of labels, or fresh")
        return Single(n="fresh", **shared)
    return Ladder(n=n, **shared)  # type: ignore[arg-type]


def _job(
    target: Target,
    measure: Measure,
    compute: Compute,
    results: str | Path | None,
    method: Method | None = None,
    baseline: Baseline | None = None,
) -> Job:
    if results is not None:
        results = _check_folder(results)
    family, task, representation = _unwrap(target)
    job = Job(
        family=family,
        target=target,
        task=task,
        representation=representation,
        learner=None if method is None else method.learner,
        schedule=None if method is None else method.resolve_schedule(),
        optimizer=None if method is None else method.optimizer,
        probe=None if method is None else method.probe,
        baseline=baseline,
        measure=measure,
        tracker=None,
        compute=compute,
        results=str(results) if results is not None else "results",
        study=None,
    )
    check_job(job)
    return job


def _unwrap(target: Target) -> tuple[Target, TargetWrapper, TargetWrapper | None]:
    """A target's family, task and representation, as the command line names a cell by them."""
    task: TargetWrapper = Regression()
    representation: TargetWrapper | None = None
    while isinstance(target, Wrapped):
        if isinstance(target.wrapper, Representation):
            representation = target.wrapper
        else:
            task = target.wrapper
        target = target.target
    return target, task, representation


def _run_jobs(jobs: Sequence[Job], results: str | Path | None) -> pd.DataFrame:
    tables = []
    with _threads_restored():
        for job in jobs:
            for spec, rows in _run_job(job, results):
                tables.append(_tabulate(spec, rows))
    return pd.concat(tables, ignore_index=True)


@contextmanager
def _threads_restored() -> Iterator[None]:
    """Cells set the number of torch's threads, which is the caller's again afterwards."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _tabulate(spec: CellSpec, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The trainings of one cell, with what they are of."""
    table = pd.DataFrame(rows)
    for place, name in enumerate(("target_name", "method", "d", "L")):
        table.insert(place, name.removesuffix("_name"), spec.config[name])
    return table


def _run_job(
    job: Job, results: str | Path | None
) -> Iterator[tuple[CellSpec, list[dict[str, Any]]]]:
    """The rows of every cell of a job."""
    for spec in cell_specs(job):
        if results is None:
            yield spec, _run_in_memory(spec, job).rows()
        else:
            run_cell(spec, job)
            yield spec, Store(job.results).cell(spec.cell_id).rows()


def _run_in_memory(spec: CellSpec, job: Job) -> Cell:
    device = resolve_device(job.compute.device)
    cell = MemoryCell()
    torch.set_num_threads(job.compute.threads)
    measure_cell(spec, job, cell, device, SilentObserver(), train_stack)
    return cell
