"""Run one cell: find what is asked for and not stored, train it, confirm plateaus, judge, store.

It is safe to stop at any moment: finished stacks are stored, the current one has a checkpoint.
"""

from __future__ import annotations

import logging
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace

import torch

from bfc import stop_signals
from bfc.engine.stack_request import TrainStack, train_stack
from bfc.environment import environment, resolve_device
from bfc.errors import UserError
from bfc.experiment.baseline_run import BaselineRun
from bfc.experiment.cell_progress import CellProgress
from bfc.experiment.cell_spec import CellSpec
from bfc.experiment.job import Job
from bfc.experiment.learner_run import LearnerRun
from bfc.experiment.stored_cell import (
    count_trainings,
    describe_request,
    is_stored,
    resume_measure,
)
from bfc.store.cells import Cell, Store
from bfc.types import Observer

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CellResult:
    """What running a cell came to."""

    cell_id: str
    method: str
    stored: int
    """Rows that the cell holds."""
    computed: int
    """Rows that were computed now."""


class SilentObserver:
    """An :class:`bfc.types.Observer` that does nothing."""

    def started(self) -> None: ...

    def stored(self) -> None: ...

    def ended(self, error: BaseException | None) -> None: ...


def run_cell(
    spec: CellSpec,
    job: Job,
    observer: Observer | None = None,
    train: TrainStack = train_stack,
    wait: bool = False,
) -> CellResult:
    """Bring one cell up to what ``job`` asks for.

    ``train`` trains the stacks that are needed, by default here and now. Raises
    :class:`bfc.store.lease.Busy` if another process measures this cell, unless told to ``wait``.
    """
    observer = observer or SilentObserver()
    try:
        result = _run_cell(spec, job, observer, train, wait)
    except BaseException as error:
        observer.ended(error)
        raise
    observer.ended(None)
    return result


def _run_cell(
    spec: CellSpec, job: Job, observer: Observer, train: TrainStack, wait: bool
) -> CellResult:
    cell = Store(job.results).cell(spec.cell_id)
    if is_stored(spec, job):
        return _result_of_stored(spec, job, cell)
    device = resolve_device(job.compute.device)
    torch.set_num_threads(job.compute.threads)
    with cell.claim(wait):
        if is_stored(spec, job):  # by the process that was waited for
            return _result_of_stored(spec, job, cell)
        rows_before = len(cell.rows())
        cell.write_config(spec.config)
        cell.write_json("environment.json", environment(device))
        cell.add_request(describe_request(job))
        measure_cell(spec, job, cell, device, observer, train)
        rows = cell.rows()
        return CellResult(spec.cell_id, spec.method, len(rows), len(rows) - rows_before)


def measure_cell(
    spec: CellSpec,
    job: Job,
    cell: Cell,
    device: torch.device,
    observer: Observer,
    train: TrainStack,
) -> None:
    """Measure what is missing of a learner's or a baseline's cell; keep its status up to date."""
    progress = CellProgress(cell, spec.method)
    try:
        observer.started()
        if spec.kind == "learner":
            LearnerRun(spec, job, cell, device, observer, train, progress).run()
        else:
            BaselineRun(spec, job, cell, device, observer, progress).run()
    except stop_signals.Stopped:
        with suppress(UserError):
            progress.write("stopped", method=spec.method)
        raise
    except BaseException as error:
        with suppress(UserError):
            message = f"{type(error).__name__}: {error}"
            progress.write("failed", error=message, traceback=traceback.format_exc())
        raise
    progress.done = progress.total
    progress.write("done", trainings=count_trainings(cell.rows()))


def _result_of_stored(spec: CellSpec, job: Job, cell: Cell) -> CellResult:
    """The result where everything is stored; nothing but the request is written."""
    resumption = resume_measure(spec, job, cell)
    if resumption.note is not None:
        _log.info(resumption.note)
    cell.add_request(describe_request(replace(job, measure=resumption.request)))
    return CellResult(spec.cell_id, spec.method, len(cell.rows()), 0)
