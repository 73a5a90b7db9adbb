"""The library: from a target and a method to n* in a few lines, without Hydra or a store.

The same functions run a cell for the command line (:mod:`bfc.experiment`); here it lives in memory
unless a results folder is named. ``import bfc`` offers everything in :data:`__all__`, and works
where only torch, numpy, pandas and scipy are installed. :func:`compose` additionally needs Hydra,
and a results folder needs pyarrow and PyYAML.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch

from bfc.engine.stack_request import train_stack
from bfc.environment import resolve_device
from bfc.errors import UserError, require
from bfc.experiment.cell_runner import SilentObserver, measure_cell, run_cell
from bfc.experiment.cell_spec import CellSpec, cell_specs
from bfc.experiment.job import Compute, Job, check_job
from bfc.measure.ladder import Ladder
from bfc.measure.single import Single
from bfc.optimizers.adam import Adam
from bfc.optimizers.sgd import SGD
from bfc.representations.base import Representation
from bfc.schedules import named
from bfc.stats.exponent_fit import ExponentFit, fit_exponent
from bfc.stats.nstar import NStar, estimate_at
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


@dataclass(frozen=True)
class Method:
    """How a learner is trained.

    ``schedule`` is a :class:`bfc.schedules.Schedule` or the name of a file of ``conf/schedule``,
    such as ``staged``, ``joint``, ``layerwise`` or ``refit``; ``steps`` replaces the steps of each
    of its phases.
    """

    learner: Learner
    schedule: str | Schedule = "staged"
    optimizer: Optimizer = field(default_factory=Adam)
    probe: Probe | None = None
    steps: int | None = None

    def resolve_schedule(self) -> Schedule:
        """The schedule as an object. Raises :class:`UserError` for a name that does not exist."""
        changes = {} if self.steps is None else {"steps": self.steps}
        if isinstance(self.schedule, str):
            return named(self.schedule, **changes)
        require(self.steps is None, "steps", self.steps, "left out where schedule is an object")
        return self.schedule


def run(
    target: Target | Sequence[Target],
    method: Method,
    n: Sequence[int] | Literal["fresh"] | None = None,
    seeds: int | Sequence[int] = 8,
    *,
    eps: Sequence[float] = (0.1, 0.01),
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
    chosen = _measure(n, seeds, eps) if measure is None else measure
    compute = Compute(device=device, dtype=dtype, stack=stack)
    jobs = []
    for family in _as_list(target):
        jobs.append(_job(family, chosen, compute, results, method=method))
    return _run_jobs(jobs, results)


def curve(
    target: Target | Sequence[Target],
    baseline: Baseline,
    seeds: int | Sequence[int] = 4,
    *,
    eps: Sequence[float] = (0.1, 0.01),
    test: int = 16384,
    device: Device = "auto",
    results: str | Path | None = None,
) -> pd.DataFrame:
    """The learning curve of a baseline at every n of its grid, for every seed.

    Hyper-parameters are chosen on draws that are never measured on. Returns one row per (n, seed),
    with the columns of :func:`run`. Raises :class:`bfc.errors.UserError` for invalid values.
    """
    chosen = Ladder(n=(16,), seeds=_seeds(seeds), eps=tuple(eps), test=test)
    compute = Compute(device=device)
    jobs = []
    for family in _as_list(target):
        jobs.append(_job(family, chosen, compute, results, baseline=baseline))
    return _run_jobs(jobs, results)


def nstar(runs: pd.DataFrame, eps: float) -> NStar:
    """n* at ``eps`` with its 95 % interval, from the trainings of one method at one d.

    Raises :class:`bfc.errors.UserError` where ``runs`` hold several d or methods.
    """
    for column in ("target", "method", "d"):
        if column in runs and runs[column].nunique() > 1:
            values = ", ".join(map(str, sorted(runs[column].unique())))
            raise UserError(f"runs: hold several values of {column} ({values}); select one")
    return estimate_at(runs, eps)


def compose(*overrides: str) -> Job:
    """A checked job from the YAML files, as ``python -m bfc.train`` composes it.

    For instance ``compose("target=radial", "target.d=64", "measure=adaptive")``. Needs Hydra.
    """
    # Only here, since the rest of the library needs no Hydra.
    from bfc.hydra_plugins.hydra_errors import explain
    from bfc.hydra_plugins.registration import compose_sweep

    try:
        jobs = compose_sweep(list(overrides))
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        raise UserError(sentence) from error
    if len(jobs) != 1:
        raise UserError(f"{' '.join(overrides)}: is a sweep of {len(jobs)} jobs; must be one job")
    return jobs[0].job


def load(results: str | Path) -> pd.DataFrame:
    """Every training of a store, one row each, with the configuration as ``config.<key>``.

    Folders that cannot be read are left out. Needs pyarrow and PyYAML.
    """
    # Only here, since the rest of the library needs no pyarrow.
    from bfc.experiment.stored_config import fill_defaults
    from bfc.store.reading import collect

    return collect(results, fill_defaults).trainings


def _as_list(target: Target | Sequence[Target]) -> list[Target]:
    return list(target) if isinstance(target, (list, tuple)) else [target]  # type: ignore[list-item]


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """A count stands for 0, 1, ..."""
    return tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)


def _measure(
    n: Sequence[int] | Literal["fresh"] | None,
    seeds: int | Sequence[int],
    eps: Sequence[float],
) -> Measure:
    if n is None:
        raise UserError("n: is missing; must be a list of numbers of labels, or fresh")
    if isinstance(n, str):
        require(n == "fresh", "n", n, "a list of numbers of labels, or fresh")
        return Single(n="fresh", seeds=_seeds(seeds), eps=tuple(eps))
    return Ladder(n=tuple(n), seeds=_seeds(seeds), eps=tuple(eps))


def _job(
    target: Target,
    measure: Measure,
    compute: Compute,
    results: str | Path | None,
    method: Method | None = None,
    baseline: Baseline | None = None,
) -> Job:
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
    for job in jobs:
        for spec, rows in _run_job(job, results):
            table = pd.DataFrame(rows)
            for place, name in enumerate(("target_name", "method", "d", "L")):
                table.insert(place, name.removesuffix("_name"), spec.config[name])
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


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
    torch.set_num_threads(job.compute.threads)
    cell = MemoryCell()
    measure_cell(spec, job, cell, device, SilentObserver(), train_stack)
    return cell
