"""What runs the tasks of a launch: SLURM, or a pool of processes on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Mapping
from typing import Any

from bfc.errors import UserError
from bfc.launch.manifest import Launch
from bfc.launch.slurm import client
from bfc.launch.slurm.client import TaskInfo
from bfc.store.lease import start_of

MIN_QUERY_SECONDS = 2.0
MAX_QUERY_SECONDS = 30.0
QUERY_SHARE = 0.1
"""While a launch is waited for, its scheduler is asked again after this share of the time waited so
far, within the two limits above: sites forbid more frequent queries."""


def query_scheduler(launch: Launch, task_ids: set[str]) -> dict[str, TaskInfo]:
    """The state of tasks; a local pool is one task, the state of which is its process."""
    if launch.manifest["kind"] == "slurm":
        return client.query_tasks(sorted(task_ids))
    pools = {}
    for submission in launch.submissions():
        if submission["ids"]:
            state = "RUNNING" if is_pool_alive(submission) else "ENDED"
            pools[submission["ids"][0]] = TaskInfo(state)
    return pools


def is_pool_alive(submission: Mapping[str, Any]) -> bool:
    """Whether the process of a local launch runs; that of another host is assumed to."""
    if submission["host"] != socket.gethostname():
        return True
    start: str = start_of(submission["pid"])
    return start != "" and start == submission["started"]


class CachedScheduler:
    """A scheduler whose answers are kept for a while."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._last_query = -MAX_QUERY_SECONDS
        self._task_ids: set[str] = set()
        self._answer: dict[str, TaskInfo] = {}

    def __call__(self, launch: Launch, task_ids: set[str]) -> dict[str, TaskInfo]:
        """The state of tasks, asked for again at once where one of them is new."""
        now = time.monotonic()
        interval = max(MIN_QUERY_SECONDS, QUERY_SHARE * (now - self._start))
        is_due = now - self._last_query >= min(MAX_QUERY_SECONDS, interval)
        if is_due or not task_ids <= self._task_ids:
            self._answer = query_scheduler(launch, task_ids)
            self._task_ids = set(task_ids)
            self._last_query = now
        return self._answer


def end_tasks(launch: Launch) -> None:
    """End every task of a launch, including the SLURM job that finishes it."""
    submissions = launch.submissions()
    if launch.manifest["kind"] == "slurm":
        task_ids: set[str] = set()
        for submission in submissions:
            task_ids.update(submission["ids"])
            if submission.get("finaliser"):
                task_ids.add(submission["finaliser"])
        client.cancel(sorted(task_ids))
        return
    for submission in submissions:
        if submission["host"] != socket.gethostname():
            raise UserError(f"{launch.name}: runs on {submission['host']}; cancel it there")
        if is_pool_alive(submission):
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(submission["pid"], signal.SIGTERM)
