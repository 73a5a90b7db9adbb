"""What a launch writes down so that every later command can find it.

``<results>/.launch/<id>/`` holds the plan (manifest.json), the resolved configuration of every job
(jobs.json), what was handed to a scheduler (submitted.jsonl), what happened (events/, one file per
process, because a network file system tears lines that two processes append to one file) and the
logs. All of it is plain JSON.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from bfc.errors import UserError, nearest
from bfc.launch.json_lines import append_line, read_lines, replace_text
from bfc.launch.older_launches import rename_container_keys, rename_keys
from bfc.streams import print_line

FOLDER = ".launch"
FORMAT_VERSION = 1
"""Version of the files' format; the key ``form`` of a manifest."""
RESERVED_NAMES = ("code",)
"""Folders beside the launches that are none."""
LOG_VARIABLE = "BFC_LOG"
"""Environment variable of a worker whose output goes to a file: its name below the launch's logs.
"""


class JobEvent(StrEnum):
    """What a process records of a job."""

    STARTED = "started"
    WAITING = "waiting"
    STOPPED = "stopped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DONE = "done"


class Launch:
    """One launch, read from its folder.

    ``attempt`` counts how often its jobs were submitted before this process was.
    """

    def __init__(self, path: str | Path, attempt: int = 0) -> None:
        self.path, self.attempt = Path(path), attempt
        self.name = self.path.name

    @classmethod
    def create(
        cls,
        results: Path,
        study: str | None,
        manifest: Mapping[str, Any],
        containers: Sequence[Mapping[str, Any]],
    ) -> Launch:
        """Write a new launch; its name is the time, the study and four random digits."""
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{study or 'sweep'}-{secrets.token_hex(2)}"
        launch = cls(results / FOLDER / name)
        header = {
            "form": FORMAT_VERSION,
            "created": time.time(),
            "host": socket.gethostname(),
            "results": str(results),
            "study": study,
        }
        try:
            for folder in (launch.path, launch.logs, launch.path / "events"):
                folder.mkdir(parents=True)
            (launch.path / "jobs.json").write_text(json.dumps(containers))
            replace_text(
                launch.path / "manifest.json", json.dumps({**header, **manifest}, indent=1)
            )
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"{launch.path}: cannot be written ({reason})") from error
        return launch

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = _read_json(self.path / "manifest.json", dict)
        if manifest.get("form") != FORMAT_VERSION:
            raise UserError(f"{self.path / 'manifest.json'}: was not written by this version")
        return manifest

    @functools.cached_property
    def containers(self) -> list[dict[str, Any]]:
        """The resolved configuration of every job."""
        stored = _read_json(self.path / "jobs.json", list)
        return [rename_container_keys(container) for container in stored]

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """What the manifest says of every job.

        Its overrides, label, cells, methods, wave, dependencies (``earlier``), predicted seconds,
        fusion key (``shape``) and whether it was stored at submission.
        """
        jobs: list[dict[str, Any]] = self.manifest["jobs"]
        return jobs

    @functools.cached_property
    def options(self) -> dict[str, Any]:
        """The launcher's options, by their present names."""
        return rename_keys(self.manifest["launcher"], "hydra.launcher")

    def add_submission(self, **details: Any) -> None:
        """Record what was handed to a scheduler.

        Among the details are ``packs`` (lists of job numbers) and ``ids`` (one per pack).
        """
        append_line(self.path / "submitted.jsonl", {"time": time.time(), **details})

    def submissions(self) -> list[dict[str, Any]]:
        """Everything handed to a scheduler so far, oldest first."""
        return list(read_lines(self.path / "submitted.jsonl"))

    def describe_submission(self, scheduler: str) -> str:
        """What a user should know after launching; ``scheduler`` names what runs it."""
        return (
            f"launched  {self.name}: {scheduler}\n"
            f"manifest  {self.path / 'manifest.json'}\n"
            f"follow    bfc status --results {self.path.parents[1]}   "
            "(logs, wait, retry, cancel and collect take the same option)"
        )

    def record(self, job: int, event: JobEvent, **details: Any) -> None:
        """Record what became of a job in this process.

        A disk that is full must not end the work itself, so a failure to write is only printed.
        """
        process = f"{socket.gethostname()}-{os.getpid()}"
        entry = {
            "time": time.time(),
            "job": job,
            "state": event,
            "attempt": self.attempt,
            **describe_process(),
            **details,
        }
        try:
            append_line(self.path / "events" / f"{process}.jsonl", entry)
        except OSError as error:
            reason = error.strerror or error
            print_line(f"{self.path / 'events'}: cannot be written ({reason})")

    def events(self) -> dict[int, dict[str, Any]]:
        """The last event of every job that was begun.

        ``done`` is final, so that hosts whose clocks differ cannot undo it.
        """
        entries: list[dict[str, Any]] = []
        for path in (self.path / "events").glob("*.jsonl"):
            entries.extend(read_lines(path))
        entries.sort(key=lambda entry: (entry["state"] == JobEvent.DONE, entry["time"]))
        return {entry["job"]: entry for entry in entries}

    def done(self) -> set[int]:
        """The jobs that a process of this launch finished and whose results are there."""
        return {
            number
            for number, event in self.events().items()
            if event["state"] == JobEvent.DONE and self._has_results(number)
        }

    def _has_results(self, number: int) -> bool:
        return all((folder / "status.json").is_file() for folder in self.folders(number))

    def folders(self, number: int) -> list[Path]:
        """The result folders of a job's cells."""
        results = Path(self.containers[number]["results"])
        return [results / cell for cell in self.jobs[number]["cells"]]


def describe_process() -> dict[str, Any]:
    """Where this process runs: node, the scheduler's id of it, log."""
    task_id = slurm_task_id()
    return {
        "node": os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
        "pid": os.getpid(),
        "id": task_id,
        "restarts": int(os.environ.get("SLURM_RESTART_COUNT", 0)),
        "log": f"{task_id}_0_log.out" if task_id else os.environ.get(LOG_VARIABLE),
    }


def slurm_task_id() -> str | None:
    """SLURM's id of the task that this process belongs to: ``12_3`` in an array, else ``12``."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    index = os.environ.get("SLURM_ARRAY_TASK_ID")
    if array and index:
        return f"{array}_{index}"
    return os.environ.get("SLURM_JOB_ID")


def list_launches(results: str | Path) -> list[Launch]:
    """Every launch of a store, oldest first."""
    return [
        Launch(path)
        for path in sorted((Path(results) / FOLDER).glob("*"))
        if path.name not in RESERVED_NAMES and (path / "manifest.json").is_file()
    ]


def find_launch(results: str | Path, name: str | None = None) -> Launch:
    """The launch called ``name`` or whose name contains it; without a name the newest.

    Raises :class:`UserError` where there is none, or several.
    """
    launches = list_launches(results)
    if not launches:
        raise UserError(
            f"results={results}: holds no launch; run `bfc launch` first, or give the store with "
            "--results"
        )
    if name is None:
        return launches[-1]
    exact = [launch for launch in launches if name == launch.name]
    matches = exact or [launch for launch in launches if name in launch.name]
    if len(matches) == 1:
        return matches[0]
    problem = "several launches match this name" if matches else "no such launch"
    options = nearest(name, [launch.name for launch in matches or launches])
    raise UserError(f"{name}: {problem}; {options}")


def _read_json(path: Path, kind: type) -> Any:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    if not isinstance(value, kind):
        raise UserError(f"{path}: was not written by this version")
    return value
