"""The jobs of a launch in whichever process they fell to, a SLURM task or a local worker: give each
its prior, run it, and note what became of it where `bfc status` finds it. Jobs of one shape run
side by side where the launcher says so, and share their stacks."""

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
from bfc.launch.dependencies import prior
from bfc.launch.job import company
from bfc.launch.manifest import Launch
from bfc.store.lease import Busy
from bfc.trackers.client import observe_cell


def work(
    launch: Launch, numbers: Sequence[int], most: int
) -> Iterator[tuple[int, list[str] | Exception]]:
    """Run jobs, up to ``most`` of one shape side by side, and tell of each when it ends: its cell
    ids, or what it failed with. A job one of whose cells another process holds is left for last,
    and waited for only with nothing else in hand. A request to stop ends those that run, and the
    rest is not begun."""
    todo, busy = deque(numbers), 0
    with suppress(stop_signals.Stopped):
        while todo and stop_signals.stop_requested() is None:
            wait = busy >= len(todo)
            batch = [todo[0]] if wait else company(launch.jobs, todo, most)
            for number in batch:
                todo.remove(number)
            cells = [partial(_run, launch, number, wait) for number in batch]
            for k, end in run_as_completed(cells):
                if isinstance(end, Busy):
                    todo.append(batch[k])
                    busy += 1
                else:
                    busy = 0
                    yield batch[k], end


def _run(launch: Launch, number: int, wait: bool, train: TrainStack) -> list[str]:
    """Run job ``number`` and return its cell ids. Raises what the job raises, after noting it; a
    cell that another process is measuring is waited for, or raises :class:`bfc.store.lease.Busy`.
    """
    launch.record(number, "started")
    try:
        ids = run_job(load_job(_with_prior(launch, number)), observe_cell, train, wait)
    except Busy as busy:
        launch.record(number, "waiting", message=str(busy))
        raise
    except stop_signals.Stopped as stopped:
        launch.record(number, "stopped", message=str(stopped))
        raise
    except Exception as error:
        fail(launch, number, error)
        raise
    launch.record(number, "done")
    return ids


def fail(launch: Launch, number: int, error: BaseException) -> None:
    """Note a failure: its class, its message and its traceback."""
    launch.record(
        number,
        "failed",
        error=type(error).__name__,
        message=message(error),
        traceback="".join(traceback.format_exception(error)),
    )


def message(error: BaseException) -> str:
    """An error as a line: the sentence about it, else its class and text."""
    return describe_error(error) or f"{type(error).__name__}: {error}"


def _with_prior(launch: Launch, number: int) -> Mapping[str, Any]:
    """The frozen configuration of a job; where it waited for smaller d, with what they have shown."""
    container, before = launch.containers[number], launch.jobs[number]["earlier"]
    if not before:
        return container
    known = prior(load_job(container), [load_job(launch.containers[other]) for other in before])
    return (
        container
        if known is None
        else {**container, "measure": {**container["measure"], "prior": list(known)}}
    )
