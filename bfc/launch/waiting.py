"""Waiting for a launch, and ending it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from bfc.errors import UserError
from bfc.launch.backend import CachedScheduler, end_tasks
from bfc.launch.manifest import JobEvent, Launch
from bfc.launch.slurm.client import SlurmUnavailable
from bfc.launch.status import (
    TASK_COMPLETED,
    CellState,
    CellStatus,
    Reason,
    ReasonKind,
    all_ended,
    cell_statuses,
)

_log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
"""Between two readings of a launch that is waited for."""
SETTLE_SECONDS = 90.0
"""For which a network file system may not show here what a task on another host has written."""

ShowStatuses = Callable[[list[CellStatus]], None]


def wait_for_launch(
    launch: Launch,
    on_update: ShowStatuses = lambda statuses: None,
    poll_seconds: float = POLL_SECONDS,
) -> list[CellStatus]:
    """Return when every cell has ended.

    A scheduler that does not answer is asked again. Raises :class:`UserError` on Ctrl-C, which ends
    nothing of the launch.
    """
    query_tasks = CachedScheduler()
    was_unavailable = False
    try:
        while True:
            try:
                statuses = cell_statuses(launch, query_tasks)
                was_unavailable = False
                on_update(statuses)
                if all_ended(statuses):
                    statuses = wait_until_settled(launch)
                    if all_ended(statuses):
                        return statuses
            except SlurmUnavailable as error:
                if not was_unavailable:
                    _log.error(f"{error}; waiting")
                was_unavailable = True
            time.sleep(poll_seconds)
    except KeyboardInterrupt:
        raise UserError(describe_running(launch)) from None


def wait_until_settled(launch: Launch) -> list[CellStatus]:
    """The final statuses of a launch whose tasks have ended.

    They are read again for SETTLE_SECONDS while the scheduler does not answer, or while a task that
    succeeded has left no results that can be seen from here.
    """
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            statuses = cell_statuses(launch)
            is_late = any(_may_appear(launch, status) for status in statuses)
            if not is_late or time.monotonic() > end:
                return statuses
        except SlurmUnavailable:
            if time.monotonic() > end:
                raise
        time.sleep(POLL_SECONDS)


def _may_appear(launch: Launch, status: CellStatus) -> bool:
    """Whether another host has written results that cannot be seen from here yet."""
    if launch.manifest["kind"] == "local":
        return status.reason == TASK_COMPLETED
    return status.reason in (TASK_COMPLETED, Reason(ReasonKind.RESULTS_GONE))


def cancel_launch(launch: Launch) -> int:
    """End everything of a launch that is queued or running; the number of cells that were."""
    active = [status for status in cell_statuses(launch) if not status.state.is_final]
    end_tasks(launch)
    if launch.manifest["kind"] == "local":
        for job in sorted({status.job for status in active}):
            launch.record(job, JobEvent.CANCELLED)
    return len(active)


def describe_running(launch: Launch) -> str:
    """The message on Ctrl-C while a launch is waited for."""
    active = [status for status in cell_statuses(launch) if not status.state.is_final]
    running = sum(status.state == CellState.RUNNING for status in active)
    return (
        f"{launch.name} goes on: {running} cells are running and {len(active) - running} are "
        f"queued; `bfc cancel {launch.name}` ends them"
    )
