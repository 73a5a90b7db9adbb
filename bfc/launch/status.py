"""What is going on in a launch, from the three places that know: the store (what is measured), the
launch's events (what a process said), and the scheduler (whether it still lives). The store is
believed first, a scheduler last: SLURM calls a task FAILED that was killed after its work was done,
and RUNNING one that hangs."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bfc.errors import UserError
from bfc.launch.manifest import Launch
from bfc.launch.slurm import client as cluster
from bfc.launch.slurm.client import Task

ENDED = ("done", "failed", "cancelled", "lost")
POLL = 2.0
"""Seconds between two looks at a launch that is waited for."""
SPARED, RAREST = 0.1, 30.0
"""While a launch is waited for, its scheduler is asked again after this share of the time it has
been waited for, at least POLL seconds and at most so many: sites forbid what asks more."""
SETTLE = 90.0
"""Seconds for which a network file system may not show here what a task on another host has
written."""
WELL = "its task ended: COMPLETED"
TAIL = 4096


@dataclass(frozen=True)
class Row:
    """One cell of a launch. ``state``: queued, running, done, failed (an error), cancelled, or lost
    (its task ended without a word: killed, out of memory, node failure). ``share`` of its work that
    is done, ``trainings`` stored, ``task`` the scheduler's id, ``note`` the failure, or why it
    waits."""

    job: int
    cell: str
    label: str
    method: str
    state: str
    share: float
    trainings: int
    node: str
    task: str
    note: str
    log: Path | None


def states(
    launch: Launch, ask: Callable[[Launch, set[str]], dict[str, Task]] | None = None
) -> list[Row]:
    """Every cell of a launch, in the order of its jobs. ``ask``: what tells the state of tasks, by
    default the launch's scheduler; it is not asked about what is known to be done. Raises
    :class:`bfc.launch.slurm.client.Silent` where it does not answer."""
    events, assigned = launch.events(), assignments(launch)
    alive = (ask or _alive)(
        launch,
        {
            task
            for number, (_, task) in assigned.items()
            if events.get(number, {}).get("state") != "done"
        },
    )
    events = (
        launch.events()
    )  # read again: a task may have finished, and then ended, before the scheduler was asked
    rows = []
    for number, about in enumerate(launch.jobs):
        attempt, task_id = assigned.get(number, (0, ""))
        event, task = events.get(number), alive.get(task_id)
        state, note = _state(about["stored"], event, task, attempt)
        for folder, cell, method in zip(
            launch.folders(number), about["cells"], about["methods"], strict=True
        ):
            told = _status(folder)
            alone = (
                event is not None
                and told.get("state") == "done"
                and told["time"] >= launch.manifest["created"]
            )
            own = (
                "done" if alone else state
            )  # one of a job's two cells may be done before, or without, the other
            part = min(0.99, told.get("done", 0) / max(1, told.get("total", 1))) if event else 0.0
            log = launch.logs / event["log"] if event and event.get("log") else None
            rows.append(
                Row(
                    number,
                    cell,
                    about["label"],
                    method,
                    own,
                    1.0 if own == "done" else part,
                    int(told.get("trainings", 0)),
                    event["node"] if event and state != "queued" else "",
                    task_id,
                    note,
                    log,
                )
            )
    return rows


def assignments(launch: Launch) -> dict[int, tuple[int, str]]:
    """Per job the attempt and the scheduler's id of the task that has it now, from the latest
    submission of it."""
    found: dict[int, tuple[int, str]] = {}
    for each in launch.submissions():
        for numbers, task in zip(each["packs"], each["ids"], strict=True):
            found |= dict.fromkeys(numbers, (each.get("attempt", 0), task))
    return found


def _alive(launch: Launch, ids: set[str]) -> dict[str, Task]:
    """What the scheduler says of every task; a local pool is its process."""
    if launch.manifest["kind"] == "slurm":
        return cluster.tasks(sorted(ids))
    return {
        each["ids"][0]: Task("RUNNING" if pool_is_alive(each) else "ENDED")
        for each in launch.submissions()
        if each["ids"]
    }


def pool_is_alive(submission: Mapping[str, Any]) -> bool:
    """Whether the process of a local launch runs; of another host's nothing is known, so it is
    taken to."""
    from bfc.store.lease import start_of

    return (
        submission["host"] != socket.gethostname()
        or start_of(submission["pid"]) == submission["started"]
    )


def _state(
    stored: bool, event: Mapping[str, Any] | None, task: Task | None, attempt: int
) -> tuple[str, str]:
    """State and note of a job."""
    kind = event["state"] if event else None
    if kind == "done" or (stored and not event):
        return "done", "" if event else "was stored before"
    active = task is not None and task.active
    if kind == "failed" and not (active and event.get("attempt", 0) < attempt):
        return "failed", event["message"]
    if active:
        begun = (
            task.state == "RUNNING"
            and kind in ("started", "waiting")
            and event.get("attempt", 0) == attempt
        )
        reason = {"PENDING": task.reason, "RUNNING": "earlier jobs of its task come first"}.get(
            task.state, task.state
        )
        return ("running", event.get("message", "")) if begun else ("queued", reason)
    ended = task.state if task is not None else "forgotten by the scheduler"
    return (
        "cancelled" if ended.startswith("CANCELLED") or kind == "cancelled" else "lost"
    ), f"its task ended: {ended}"


def _status(folder: Path) -> dict[str, Any]:
    """A cell's status.json; empty where there is none that can be read."""
    try:
        value = json.loads((folder / "status.json").read_text())
    except (OSError, ValueError):
        return {}
    known = isinstance(value, dict) and all(
        isinstance(value.get(name, 0), (int, float))
        for name in ("done", "total", "trainings", "time")
    )
    return {"time": 0.0, **value} if known else {}


def tail(path: Path | None, lines: int = 1) -> list[str]:
    """The last lines of a log that say something."""
    if path is None or not path.is_file():
        return []
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL * max(1, lines // 10)))
        text = file.read().decode(errors="replace")
    return [line for line in text.splitlines() if line.strip()][-lines:]


class _Asked:
    """A scheduler's answers, kept for a while."""

    def __init__(self) -> None:
        self.began, self.at, self.ids, self.answer = (
            time.monotonic(),
            -RAREST,
            set[str](),
            dict[str, Task](),
        )

    def __call__(self, launch: Launch, ids: set[str]) -> dict[str, Task]:
        """Of the tasks ``ids``; asked anew where one of them was not asked about before."""
        now = time.monotonic()
        if not ids <= self.ids or now - self.at >= min(
            RAREST, max(POLL, SPARED * (now - self.began))
        ):
            self.answer = _alive(launch, ids)
            self.ids, self.at = set(ids), now
        return self.answer


def wait(
    launch: Launch, tell: Callable[[list[Row]], None] = lambda rows: None, poll: float = POLL
) -> list[Row]:
    """Return when every cell has ended; a scheduler that does not answer for a while ends nothing.
    Raises :class:`UserError` on Ctrl-C, which ends nothing either."""
    ask, silent = _Asked(), False
    try:
        while True:
            try:
                rows, silent = states(launch, ask), False
                tell(rows)
                if ended(rows) and ended(rows := settled(launch)):
                    return rows
            except cluster.Silent as error:
                if not silent:
                    print(f"{error}; waiting", file=sys.stderr, flush=True)
                silent = True
            time.sleep(poll)
    except KeyboardInterrupt:
        raise UserError(still_running(launch)) from None


def ended(rows: Sequence[Row]) -> bool:
    """Whether nothing is queued or running."""
    return all(row.state in ENDED for row in rows)


def settled(launch: Launch) -> list[Row]:
    """What became of a launch whose tasks have ended. It is looked at again for SETTLE seconds
    while the scheduler does not answer, or while a task that ended well has left nothing that is
    seen here."""
    end = time.monotonic() + SETTLE
    while True:
        try:
            rows = states(launch)
            if not any(row.note == WELL for row in rows) or time.monotonic() > end:
                return rows
        except cluster.Silent:
            if time.monotonic() > end:
                raise
        time.sleep(POLL)


def stop(launch: Launch) -> None:
    """End everything of a launch that is queued or running, the job that finishes it included."""
    active = [row for row in states(launch) if row.state not in ENDED]
    if launch.manifest["kind"] == "slurm":
        cluster.cancel(
            sorted(
                {
                    task
                    for each in launch.submissions()
                    for task in (*each["ids"], *filter(None, [each.get("finaliser")]))
                }
            )
        )
        return
    for each in launch.submissions():
        if each["host"] != socket.gethostname():
            raise UserError(f"{launch.name}: runs on {each['host']}; cancel it there")
        if pool_is_alive(each):
            os.kill(each["pid"], signal.SIGTERM)
    for job in sorted({row.job for row in active}):
        launch.record(job, "cancelled")


def still_running(launch: Launch) -> str:
    """What Ctrl-C while watching should say."""
    active = [row for row in states(launch) if row.state not in ENDED]
    running = sum(row.state == "running" for row in active)
    return (
        f"{launch.name} goes on: {running} cells are running and {len(active) - running} are queued; "
        f"`bfc cancel {launch.name}` ends them"
    )
