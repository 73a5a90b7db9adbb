"""The state of every cell of a launch, from the three places that know about it.

The store says what is measured, the launch's events what a process reported, and the scheduler
whether a task still lives. The store is believed first and the scheduler last: SLURM calls a task
FAILED that was killed after its work was done, and RUNNING one that hangs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from pathlib import Path
from typing import Any

from bfc.launch.backend import query_scheduler
from bfc.launch.manifest import JobEvent, Launch, holds_results
from bfc.launch.slurm.client import TaskInfo

QueryTasks = Callable[[Launch, set[str]], dict[str, TaskInfo]]
"""Asks a scheduler for the state of tasks."""
MAX_RUNNING_SHARE = 0.99
"""Share of its work that a cell shows at most before it is done."""


class CellState(StrEnum):
    """The state of a cell."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    """Its task ended without a report: killed, out of memory, node failure."""

    @property
    def is_final(self) -> bool:
        return self not in (CellState.QUEUED, CellState.RUNNING)


class ReasonKind(Enum):
    """Why a cell is in its state."""

    NONE = auto()
    STORED_BEFORE = auto()
    ERROR = auto()
    """What it failed with."""
    CELL_IS_HELD = auto()
    """Another process measures the cell."""
    TASK_IS_QUEUED = auto()
    """What SLURM waits for."""
    EARLIER_JOBS = auto()
    TASK_ENDED = auto()
    RESULTS_GONE = auto()
    """It was done, and what it stored has been removed or moved away since."""


_REASON_TEXTS = {
    ReasonKind.STORED_BEFORE: "was stored before",
    ReasonKind.EARLIER_JOBS: "earlier jobs of its task come first",
    ReasonKind.TASK_ENDED: "its task ended: {detail}",
    ReasonKind.RESULTS_GONE: "its results are not there any more",
}
"""The text of a reason where it is more than its detail."""


@dataclass(frozen=True)
class Reason:
    """Why a cell is in its state; its text is for people."""

    kind: ReasonKind = ReasonKind.NONE
    detail: str = ""

    def __str__(self) -> str:
        template = _REASON_TEXTS.get(self.kind, "{detail}")
        return template.replace("{detail}", self.detail)


TASK_COMPLETED = Reason(ReasonKind.TASK_ENDED, "COMPLETED")
"""A task that succeeded has done its jobs, which another host may see later."""
TASK_FORGOTTEN = "forgotten by the scheduler"


@dataclass(frozen=True)
class CellStatus:
    """One cell of a launch."""

    job: int
    cell: str
    label: str
    method: str
    state: CellState
    share: float
    """Share of its work that is done."""
    trainings: int
    """Trainings that are stored."""
    node: str
    task: str
    """The scheduler's id."""
    reason: Reason
    log: Path | None
    log_part: tuple[int, int | None] = (0, None)
    """Where in its log the job's output begins and ends, as far as is known, in bytes."""


def cell_statuses(launch: Launch, query_tasks: QueryTasks | None = None) -> list[CellStatus]:
    """The status of every cell of a launch, in the order of its jobs.

    ``query_tasks`` asks for the state of tasks, by default from the launch's scheduler; it is not
    asked about jobs that are known to be done. Raises
    :class:`bfc.launch.slurm.client.SlurmUnavailable` where the scheduler does not answer.
    """
    assignments = assign_tasks(launch)
    unfinished = _unfinished_tasks(launch, assignments)
    tasks = (query_tasks or query_scheduler)(launch, unfinished)
    # Read again: a task may have finished, and then ended, before the scheduler was asked.
    events = launch.events()
    statuses = []
    for number in range(len(launch.jobs)):
        attempt, task_id = assignments.get(number, (0, ""))
        event = events.get(number)
        state, reason = _job_state(launch, number, event, tasks.get(task_id), attempt)
        statuses += _statuses_of_job(launch, number, event, task_id, state, reason)
    return statuses


def _unfinished_tasks(launch: Launch, assignments: Mapping[int, tuple[int, str]]) -> set[str]:
    done = launch.done()
    return {task_id for number, (_, task_id) in assignments.items() if number not in done}


def assign_tasks(launch: Launch) -> dict[int, tuple[int, str]]:
    """Job → the attempt and the scheduler's id of the task that has it now."""
    assignments: dict[int, tuple[int, str]] = {}
    for submission in launch.submissions():
        attempt = submission.get("attempt", 0)
        for numbers, task_id in zip(submission["packs"], submission["ids"], strict=True):
            assignments |= dict.fromkeys(numbers, (attempt, task_id))
    return assignments


def _statuses_of_job(
    launch: Launch,
    number: int,
    event: Mapping[str, Any] | None,
    task_id: str,
    job_state: CellState,
    reason: Reason,
) -> list[CellStatus]:
    """The cells of a job, one of which may be done before, or without, the other."""
    entry = launch.jobs[number]
    node = event["node"] if event and job_state != CellState.QUEUED else ""
    log = launch.logs / event["log"] if event and event.get("log") else None
    statuses = []
    cells = zip(launch.folders(number), entry["cells"], entry["methods"], strict=True)
    for folder, cell, method in cells:
        stored = _read_cell_status(folder)
        is_recent = stored.get("time", 0.0) >= launch.manifest["created"]
        is_done = event is not None and stored.get("state") == "done" and is_recent
        state, cell_reason = (CellState.DONE, Reason()) if is_done else (job_state, reason)
        if state == CellState.DONE and not holds_results(folder):
            state, cell_reason = CellState.LOST, Reason(ReasonKind.RESULTS_GONE)
        status = CellStatus(
            job=number,
            cell=cell,
            label=entry["label"],
            method=method,
            state=state,
            share=_work_share(state, event is not None, stored),
            trainings=int(stored.get("trainings", 0)),
            node=node,
            task=task_id,
            reason=cell_reason,
            log=log,
            log_part=_find_log_part(event),
        )
        statuses.append(status)
    return statuses


def _find_log_part(event: Mapping[str, Any] | None) -> tuple[int, int | None]:
    """Where the output of a job stands in the log of its worker, which runs many."""
    size = event.get("log_size") if event else None
    if event is None or not isinstance(size, int):  # of an earlier version
        return 0, None
    has_begun = event["state"] in (JobEvent.STARTED, JobEvent.WAITING)
    return (size, None) if has_begun else (0, size)


def _work_share(state: CellState, has_begun: bool, stored: Mapping[str, Any]) -> float:
    if state == CellState.DONE:
        return 1.0
    if not has_begun:
        return 0.0
    share = float(stored.get("done", 0)) / max(1.0, float(stored.get("total", 1)))
    return min(MAX_RUNNING_SHARE, share)


def _job_state(
    launch: Launch,
    number: int,
    event: Mapping[str, Any] | None,
    task: TaskInfo | None,
    attempt: int,
) -> tuple[CellState, Reason]:
    """The state of a job, from its results, its last event and its task."""
    kind = event["state"] if event else None
    is_current = event is not None and event.get("attempt", 0) == attempt
    will_run_again = task is not None and task.active and not is_current
    if launch.has_results(number) or not will_run_again:
        if event is None and launch.jobs[number]["stored"]:
            return CellState.DONE, Reason(ReasonKind.STORED_BEFORE)
        if kind == JobEvent.DONE:
            return CellState.DONE, Reason()
    if event is not None and kind == JobEvent.FAILED and not will_run_again:
        return CellState.FAILED, Reason(ReasonKind.ERROR, event["message"])
    if task is not None and task.active:
        has_begun = kind in (JobEvent.STARTED, JobEvent.WAITING) and is_current
        return _active_state(task, event if has_begun else None)
    task_state = task.state if task is not None else TASK_FORGOTTEN
    was_cancelled = task_state.startswith("CANCELLED") or kind == JobEvent.CANCELLED
    state = CellState.CANCELLED if was_cancelled else CellState.LOST
    return state, Reason(ReasonKind.TASK_ENDED, task_state)


def _active_state(task: TaskInfo, begin: Mapping[str, Any] | None) -> tuple[CellState, Reason]:
    """The state of a job whose task is queued or running; ``begin`` is the event of its start."""
    if task.state == "RUNNING":
        if begin is None:
            return CellState.QUEUED, Reason(ReasonKind.EARLIER_JOBS)
        return CellState.RUNNING, Reason(ReasonKind.CELL_IS_HELD, begin.get("message", ""))
    detail = task.reason if task.state == "PENDING" else task.state
    return CellState.QUEUED, Reason(ReasonKind.TASK_IS_QUEUED, detail)


def _read_cell_status(folder: Path) -> dict[str, Any]:
    """A cell's status.json; empty where there is none that can be read."""
    try:
        status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(status, dict):
        return {}
    numbers = [status.get(name, 0) for name in ("done", "total", "trainings", "time")]
    return status if all(isinstance(number, (int, float)) for number in numbers) else {}


def all_ended(statuses: Sequence[CellStatus]) -> bool:
    """Whether nothing is queued or running."""
    return all(status.state.is_final for status in statuses)
