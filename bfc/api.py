"""The library: from a target and a method to n* in a few lines, without Hydra or a store.

The same functions run a cell for the command line (:mod:`bfc.experiment`); here it lives in memory
unless a results folder is named. ``import bfc`` offers everything in :data:`__all__`, and works
where only torch, numpy, pandas and scipy are installed. :func:`compose` additionally needs Hydra,
and a results folder needs pyarrow and PyYAML.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from bfc.api_arguments import (
    build_measure,
    check_folder,
    describe_part,
    list_targets,
    require_component,
    speak_of_arguments,
)
from bfc.api_cells import tabulate_jobs, unwrap_target
from bfc.component import group_of
from bfc.errors import UserError, require
from bfc.experiment.job import Compute, Job, check_job
from bfc.measure.ladder import Ladder
from bfc.optimizers.adam import Adam
from bfc.optimizers.sgd import SGD
from bfc.schedules import load_schedule
from bfc.stats.cell_counts import count_cell
from bfc.stats.exponent_fit import ExponentFit, fit_exponent
from bfc.stats.fit_warnings import find_cell_oddities
from bfc.stats.messages import describe_warning
from bfc.stats.nstar import NStar, estimate_nstar
from bfc.stats.table_checks import check_cell
from bfc.stats.training_table import build_training_table
from bfc.types import (
    Baseline,
    Learner,
    Measure,
    Optimizer,
    Probe,
    Schedule,
    Target,
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
    of its phases. Raises :class:`bfc.errors.UserError` for parts of another kind.
    """

    learner: Learner
    schedule: str | Schedule = "staged"
    optimizer: Optimizer = field(default_factory=Adam)
    probe: Probe | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        words = "a learner such as bfc.learners.QuadraticDenseNet()"
        require_component("learner", self.learner, "learner", words)
        if not isinstance(self.schedule, str):
            words = "the name of a schedule such as staged, or a bfc.schedules.Schedule"
            require_component("schedule", self.schedule, "schedule", words)
        words = "an optimizer such as bfc.Adam(lr=0.01)"
        require_component("optimizer", self.optimizer, "optimizer", words)
        if self.probe is not None:
            words = "None or a probe such as bfc.probes.FeatureError()"
            require_component("probe", self.probe, "probe", words)

    def resolve_schedule(self) -> Schedule:
        """The schedule as an object. Raises :class:`UserError` for a name that does not exist."""
        if isinstance(self.schedule, str):
            changes = {} if self.steps is None else {"steps": self.steps}
            with speak_of_arguments():
                return load_schedule(self.schedule, **changes)
        require(self.steps is None, "steps", self.steps, "left out where schedule is an object")
        return self.schedule


@speak_of_arguments()
def run(
    target: Target | Sequence[Target],
    method: Method,
    n: int | Sequence[int] | Literal["fresh"] | None = None,
    seeds: int | Sequence[int] = 8,
    *,
    eps: float | Sequence[float] = (0.1, 0.01),
    test: int = 16384,
    measure: Measure | None = None,
    device: Device = "auto",
    dtype: Literal["float32", "float64"] = "float32",
    stack: int | Literal["auto"] = "auto",
    compile: Literal["auto", "never", "always"] = "auto",
    results: str | Path | None = None,
) -> pd.DataFrame:
    """Train a method on a target (or on several, such as one per d) and judge every training.

    ``n``: numbers of labels, ``"fresh"`` for new samples at every step. ``test``: fresh rows per
    seed that a risk is measured on. ``measure`` replaces ``n``, ``seeds``, ``eps`` and ``test`` by
    a measure of :mod:`bfc.measure`, for instance an adaptive one.
    ``compile``: whether steps are taken by generated code; numbers agree to rounding either way.
    ``results``: a store to keep the trainings in; a rerun over it computes only what is missing.

    Returns one row per training: ``target, method, d, L, n, seed, kind, risk, train_risk, outcome``
    and more; outcomes are judged at the smallest ``eps``. Raises :class:`bfc.errors.UserError` for
    invalid values, before anything is trained.
    """
    _check_method(method)
    if measure is None:
        chosen = build_measure(n, seeds, eps, test)
    else:
        words = "None or a measure such as bfc.measure.Adaptive()"
        chosen = require_component("measure", measure, "measure", words)
    compute = Compute(device=device, dtype=dtype, stack=stack, compile=compile)
    jobs = []
    for family in list_targets(target):
        jobs.append(_job(family, chosen, compute, results, method=method))
    return tabulate_jobs(jobs, results)


@speak_of_arguments()
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
    for family in list_targets(target):
        jobs.append(_job(family, chosen, compute, results, baseline=baseline))
    return tabulate_jobs(jobs, results)


def nstar(runs: pd.DataFrame, eps: float) -> NStar:
    """n* at ``eps`` with its 95 % interval, from the trainings of one method at one d.

    What is odd about the table (rows that do not count, words that were read as others, settings
    that vary) is a Python warning. Raises :class:`bfc.errors.UserError` where ``runs`` hold several
    d or methods, lack a column or hold a value that it cannot mean.
    """
    is_table = isinstance(runs, pd.DataFrame)
    require(is_table, "runs", describe_part(runs), "a table that bfc.run or bfc.curve returned")
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

    folder = check_folder(results)
    require(folder.is_dir(), "results", results, "a results folder; there is none")
    stored = read_store(folder, fill_defaults)
    for problem in stored.problems:
        warnings.warn(f"left out: {problem}", stacklevel=2)
    return stored.trainings


def _check_method(method: object) -> None:
    words = "a bfc.Method, which run trains"
    if group_of(type(method)) == "baseline":
        words += "; a baseline is measured with bfc.curve"
    if group_of(type(method)) == "learner":
        words += f", for instance bfc.Method({describe_part(method)})"
    require(isinstance(method, Method), "method", describe_part(method), words)


def _check_baseline(baseline: object) -> None:
    words = "a baseline such as bfc.baselines.Polynomial(degree=4), which curve measures"
    if isinstance(baseline, Method) or group_of(type(baseline)) == "learner":
        words += "; a bfc.Method is trained with bfc.run"
    require_component("baseline", baseline, "baseline", words)


def _job(
    target: Target,
    measure: Measure,
    compute: Compute,
    results: str | Path | None,
    method: Method | None = None,
    baseline: Baseline | None = None,
) -> Job:
    if results is not None:
        results = check_folder(results)
    family, task, representation = unwrap_target(target)
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
