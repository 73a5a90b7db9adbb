"""The jobs of a launch in the process that runs them, a SLURM task or a local worker.

Each job is given its prior and run, and what became of it is recorded where ``bfc status`` finds
it. Jobs of one fusion group run at the same time and share their stacks.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from bfc import stop_signals
from bfc.engine.scheduler import run_as_completed
from bfc.engine.stack_request import TrainStack
from bfc.errors import describe_error
from bfc.experiment.job import load_job
from bfc.experiment.run_job import run_job
from bfc.launch.dependencies import compute_prior
from bfc.launch.fusion_groups import take_fusion_group
from bfc.launch.manifest import JobEvent, Launch
from bfc.store.lease import Busy
from bfc.trackers.client import observe_cell


def run_jobs(
    launch: Launch, numbers: Sequence[int], fuse_jobs: int
) -> Iterator[tuple[int, list[str] | Exception]]:
    """Run jobs, up to ``fuse_jobs`` of them fused, and yield each when it ends.

    Yields the job's number with its cell ids, or with the error it failed with. A job one of whose
    cells another process holds is postponed, and waited for only when nothing else is left. A
    request to stop ends the jobs that run; the others are not begun.
    """
    queue = deque(numbers)
    num_postponed = 0
    with suppress(stop_signals.Stopped):
        while queue and stop_signals.stop_requested() is None:
            wait = num_postponed >= len(queue)
            group = [queue[0]] if wait else take_fusion_group(launch.jobs, queue, fuse_jobs)
            for number in group:
                queue.remove(number)
            runs = [partial(_run, launch, number, wait) for number in group]
            for index, result in run_as_completed(runs):
                if isinstance(result, Busy):
                    queue.append(group[index])
                    num_postponed += 1
                else:
                    num_postponed = 0
                    yield group[index], result


def _run(launch: Launch, number: int, wait: bool, train: TrainStack) -> list[str]:
    """Run one job and return its cell ids.

    ``wait``: for a cell that another process measures; otherwise :class:`bfc.store.lease.Busy` is
    raised. Raises what the job raises, after recording it.
    """
    launch.record(number, JobEvent.STARTED)
    try:
        job = load_job(_add_prior(launch, number))
        cell_ids = run_job(job, observe_cell, train, wait)
    except Busy as busy:
        launch.record(number, JobEvent.WAITING, message=str(busy))
        raise
    except stop_signals.Stopped as stopped:
        launch.record(number, JobEvent.STOPPED, message=str(stopped))
        raise
    except Exception as error:
        record_failure(launch, number, error)
        raise
    launch.record(number, JobEvent.DONE)
    return cell_ids


def record_failure(launch: Launch, number: int, error: BaseException) -> None:
    """Record a failure with its class, its message and its traceback."""
    launch.record(
        number,
        JobEvent.FAILED,
        error=type(error).__name__,
        message=describe_failure(error),
        traceback="".join(traceback.format_exception(error)),
    )


def describe_failure(error: BaseException) -> str:
    """An error as a line: the sentence for users, or its class and text."""
    return describe_error(error) or f"{type(error).__name__}: {error}"


def _add_prior(launch: Launch, number: int) -> Mapping[str, Any]:
    """The frozen configuration of a job, with the prior from the smaller d that it waited for."""
    container = launch.containers[number]
    dependencies = launch.jobs[number]["earlier"]
    if not dependencies:
        return container
    smaller = [load_job(launch.containers[dependency]) for dependency in dependencies]
    prior = compute_prior(load_job(container), smaller)
    if prior is None:
        return container
    return {**container, "measure": {**container["measure"], "prior": list(prior)}}
