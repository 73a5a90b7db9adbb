"""Run the cells of one checked job: the learner's, the baseline's, or both."""

from __future__ import annotations

import logging
from collections.abc import Callable

from bfc.engine.stack_request import TrainStack, train_stack
from bfc.experiment.cell_runner import SilentObserver, run_cell
from bfc.experiment.cell_spec import CellSpec, cell_specs
from bfc.experiment.job import Job
from bfc.store.cells import Store
from bfc.types import Observer

_log = logging.getLogger(__name__)

ObserveCell = Callable[[Job, CellSpec], Observer]
"""Makes the observer of a cell."""


def run_job(
    job: Job,
    observe: ObserveCell = lambda job, spec: SilentObserver(),
    train: TrainStack = train_stack,
    wait: bool = False,
) -> list[str]:
    """Run the cells of a job and log a line each; returns the cell ids.

    ``wait``: for a cell that another process measures, as two jobs of a sweep may share one;
    otherwise :class:`bfc.store.lease.Busy` is raised.
    """
    Store(job.results).check()
    specs = cell_specs(job)
    harmonics = specs[0].config["facts"].get("harmonics")
    if harmonics:
        _log.info(f"target at d={job.target.d}: {'; '.join(harmonics)}")
    for spec in specs:
        result = run_cell(spec, job, observe(job, spec), train, wait)
        _log.info(
            f"{result.cell_id}  {result.method}  d={spec.config['d']} L={spec.config['L']}  "
            f"{result.stored} rows stored, {result.computed} new"
        )
    return [spec.cell_id for spec in specs]
