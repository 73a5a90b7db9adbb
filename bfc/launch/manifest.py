"""What a launch writes down so that every later command can find it.

``<results>/.launch/<id>/`` holds the plan (manifest.json), the resolved configuration of every job
(jobs.json), what was handed to a scheduler (submitted.jsonl), what happened (events/, one file per
process, because a network file system tears lines that two processes append to one file) and the
logs. All of it is plain JSON.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from bfc.errors import UserError
from bfc.launch.json_lines import append_line, read_lines, replace_text
from bfc.launch.older_launches import rename_container_keys, rename_keys
from bfc.store.files import first_line

_log = logging.getLogger(__name__)

FOLDER = ".launch"
FORMAT_VERSION = 1
"""Version of the files' format; the key ``form`` of a manifest."""
MANIFEST_KEYS = ("created", "results", "study", "jobs")
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
        self.problems: dict[str, str] = {}
        """File of this launch → a sentence about why it cannot be read."""

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

    def check(self) -> None:
        """Raise :class:`UserError` where the launch cannot be read."""
        if len(self.jobs) != len(self.containers):
            raise UserError(f"{self.path}: is not whole; jobs.json and manifest.json do not agree")

    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = _read_json(self.path / "manifest.json", dict)
        absent = [key for key in MANIFEST_KEYS if key not in manifest]
        if absent or manifest.get("form") != FORMAT_VERSION:
            raise UserError(f"{self.path / 'manifest.json'}: was not written by this version")
        return manifest

    @property
    def store(self) -> Path:
        """The results folder that holds this launch, wherever it is now."""
        return self.path.absolute().parents[1]

    def relocate(self, recorded: str) -> str:
        """A recorded path; where the store was moved or copied since, the same place in it."""
        path, begun_in = Path(recorded), Path(self.manifest["results"])
        if not path.is_relative_to(begun_in):
            return recorded
        return str(self.store / path.relative_to(begun_in))

    @functools.cached_property
    def containers(self) -> list[dict[str, Any]]:
        """The resolved configuration of every job, with the store where it is now."""
        containers = []
        for stored in _read_json(self.path / "jobs.json", list):
            if not isinstance(stored, dict) or not isinstance(stored.get("results"), str):
                raise UserError(f"{self.path / 'jobs.json'}: was not written by this version")
            container = rename_container_keys(stored)
            containers.append({**container, "results": self.relocate(container["results"])})
        return containers

    @functools.cached_property
    def code(self) -> dict[str, Any] | None:
        """The launch's copy of the code: its ``path`` and ``hash``; None where it has none."""
        code = self.manifest["code"]
        return {**code, "path": self.relocate(code["path"])} if code else None

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
        origin = describe_process()
        process = f"{socket.gethostname()}-{os.getpid()}"
        entry = {
            "time": time.time(),
            "job": job,
            "state": event,
            "attempt": self.attempt,
            **origin,
            "log_size": _file_size(self.logs / origin["log"]) if origin["log"] else None,
            **details,
        }
        try:
            append_line(self.path / "events" / f"{process}.jsonl", entry)
        except OSError as error:
            reason = error.strerror or error
            _log.warning(f"{self.path / 'events'}: cannot be written ({reason})")

    def events(self) -> dict[int, dict[str, Any]]:
        """The last event of every job that was begun.

        ``done`` is final, so that hosts whose clocks differ cannot undo it, unless its results were
        removed and a later attempt has begun. A file that cannot be read is named in
        :attr:`problems`.
        """
        entries: list[dict[str, Any]] = []
        for path in (self.path / "events").glob("*.jsonl"):
            try:
                entries.extend(read_lines(path))
            except OSError as error:
                self.problems[str(path)] = f"{path}: cannot be read ({error.strerror or error})"
        last_attempts: dict[int, int] = {}
        for entry in entries:
            attempt = entry.get("attempt", 0)
            last_attempts[entry["job"]] = max(attempt, last_attempts.get(entry["job"], attempt))

        def rank(entry: Mapping[str, Any]) -> tuple[bool, float]:
            is_last = entry.get("attempt", 0) == last_attempts[entry["job"]]
            is_done = entry["state"] == JobEvent.DONE
            return is_done and (is_last or self.has_results(entry["job"])), entry["time"]

        entries.sort(key=rank)
        return {entry["job"]: entry for entry in entries}

    def done(self) -> set[int]:
        """The jobs that a process of this launch finished and whose results are there."""
        return {
            number
            for number, event in self.events().items()
            if event["state"] == JobEvent.DONE and self.has_results(number)
        }

    def has_results(self, number: int) -> bool:
        """Whether the results of a job are there, as far as can be seen."""
        return 0 <= number < len(self.jobs) and all(map(holds_results, self.folders(number)))

    def folders(self, number: int) -> list[Path]:
        """The result folders of a job's cells."""
        results = Path(self.containers[number]["results"])
        return [results / cell for cell in self.jobs[number]["cells"]]


def holds_results(folder: Path) -> bool:
    """Whether a cell's folder holds a status and trainings, as far as can be seen."""
    return not any(_is_absent(folder / name) for name in ("status.json", "trainings.parquet"))


def _is_absent(path: Path) -> bool:
    """Whether a file is known not to be there; one that may not be looked at may be."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _file_size(path: Path) -> int:
    """Bytes of a file; none where it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


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


def _read_json(path: Path, kind: type) -> Any:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else first_line(error)
        raise UserError(f"{path}: cannot be read ({reason})") from error
    if not isinstance(value, kind):
        raise UserError(f"{path}: was not written by this version")
    return value
