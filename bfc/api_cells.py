"""The cells behind the functions of :mod:`bfc.api`: built from objects, run, and tabulated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from bfc.engine.stack_request import train_stack
from bfc.environment import resolve_device
from bfc.experiment.cell_runner import SilentObserver, measure_cell, run_cell
from bfc.experiment.cell_spec import CellSpec, cell_specs
from bfc.experiment.job import Job
from bfc.representations.base import Representation
from bfc.store.cells import Cell, Store
from bfc.store.memory import MemoryCell
from bfc.targets.wrapped import Wrapped
from bfc.tasks.regression import Regression
from bfc.types import Target, TargetWrapper


def unwrap_target(target: Target) -> tuple[Target, TargetWrapper, TargetWrapper | None]:
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


def tabulate_jobs(jobs: Sequence[Job], results: str | Path | None) -> pd.DataFrame:
    """One row per training of every cell of the jobs, in memory unless a store is named."""
    tables = []
    with _threads_restored():
        for job in jobs:
            for spec, rows in _run_cells(job, results):
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


def _run_cells(
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
