"""What a launch leaves behind so that every later command can find it: ``<results>/.launch/<id>/``
holds the plan (manifest.json), the resolved configuration of every job (jobs.json), what was handed
to a scheduler (submitted.jsonl), what happened (events/, one file per process, so that no two
processes append to one file, which a network file system would tear) and the logs. Plain JSON only.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bfc.errors import UserError, nearest

FOLDER = ".launch"
FORM = 1
"""Version of the files' form."""
RESERVED = ("code",)


class Launch:
    """One launch, read from its folder; ``attempt`` counts how often its jobs were submitted before
    this process was."""

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
        try:
            for folder in (launch.path, launch.logs, launch.path / "events"):
                folder.mkdir(parents=True)
            (launch.path / "jobs.json").write_text(json.dumps(containers))
            about = {
                "form": FORM,
                "created": time.time(),
                "host": socket.gethostname(),
                "results": str(results),
                "study": study,
            }
            _replace(launch.path / "manifest.json", json.dumps({**about, **manifest}, indent=1))
        except OSError as error:
            raise UserError(
                f"{launch.path}: cannot be written ({error.strerror or error})"
            ) from error
        return launch

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        return _read(self.path / "manifest.json", dict)

    @functools.cached_property
    def containers(self) -> list[dict[str, Any]]:
        """The resolved configuration of every job."""
        return _read(self.path / "jobs.json", list)

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """Per job: overrides, label, cells, methods, wave, earlier, seconds (predicted), stored (at
        submission)."""
        return self.manifest["jobs"]

    def add_submission(self, **what: Any) -> None:
        """Remember what was handed to a scheduler: ``packs`` (lists of job numbers), ``ids`` (one
        per pack) and more."""
        _append(self.path / "submitted.jsonl", {"time": time.time(), **what})

    def submissions(self) -> list[dict[str, Any]]:
        """Everything handed to a scheduler so far, oldest first."""
        return list(_lines(self.path / "submitted.jsonl"))

    def told(self, who: str) -> str:
        """What a user should know after launching."""
        return (
            f"launched  {self.name}: {who}\nmanifest  {self.path / 'manifest.json'}\n"
            f"follow    bfc status --results {self.path.parents[1]}   (logs, wait, retry, cancel, collect likewise)"
        )

    def record(self, job: int, state: str, **details: Any) -> None:
        """Note what became of a job in this process: ``started``, ``done``, ``failed``, ``stopped``
        ... A disk without room for a note must not end the work itself."""
        who = f"{socket.gethostname()}-{os.getpid()}"
        try:
            _append(
                self.path / "events" / f"{who}.jsonl",
                {
                    "time": time.time(),
                    "job": job,
                    "state": state,
                    "attempt": self.attempt,
                    **where(),
                    **details,
                },
            )
        except OSError as error:
            print(
                f"{self.path / 'events'}: cannot be written ({error.strerror or error})", flush=True
            )

    def events(self) -> dict[int, dict[str, Any]]:
        """What is known last of every job that was begun: its latest event, but ``done`` is final,
        so that hosts whose clocks differ cannot undo it."""
        found = [event for path in (self.path / "events").glob("*.jsonl") for event in _lines(path)]
        found.sort(key=lambda event: (event["state"] == "done", event["time"]))
        return {event["job"]: event for event in found}

    def done(self) -> set[int]:
        """The jobs that a process of this launch finished and whose results are there."""
        return {
            n
            for n, event in self.events().items()
            if event["state"] == "done"
            and all((folder / "status.json").is_file() for folder in self.folders(n))
        }

    def folders(self, number: int) -> list[Path]:
        """The result folders of a job's cells."""
        return [
            Path(self.containers[number]["results"]) / cell for cell in self.jobs[number]["cells"]
        ]


def where() -> dict[str, Any]:
    """The place this process runs at: node, scheduler's job, log."""
    array, task, job = (
        os.environ.get(f"SLURM_{name}") for name in ("ARRAY_JOB_ID", "ARRAY_TASK_ID", "JOB_ID")
    )
    own = f"{array}_{task}" if array and task else job
    return {
        "node": os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
        "pid": os.getpid(),
        "id": own,
        "restarts": int(os.environ.get("SLURM_RESTART_COUNT", 0)),
        "log": f"{own}_0_log.out" if own else os.environ.get("BFC_LOG"),
    }


def launches(results: str | Path) -> list[Launch]:
    """Every launch of a store, oldest first."""
    folder = Path(results) / FOLDER
    return [
        Launch(p)
        for p in sorted(folder.glob("*"))
        if p.name not in RESERVED and (p / "manifest.json").is_file()
    ]


def find(results: str | Path, name: str | None = None) -> Launch:
    """The launch called ``name`` (or whose name contains it), the newest where none is given."""
    every = launches(results)
    if not every:
        raise UserError(
            f"results={results}: holds no launch; run `bfc launch` first, or give the store with --results"
        )
    if name is None:
        return every[-1]
    matching = [launch for launch in every if name == launch.name] or [
        launch for launch in every if name in launch.name
    ]
    if len(matching) != 1:
        raise UserError(
            f"{name}: {'several launches are called so' if matching else 'no such launch'}; "
            f"{nearest(name, [launch.name for launch in matching or every])}"
        )
    return matching[0]


def _append(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line in one write, after ending a line that a full disk cut off."""
    with open(path, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
        else:
            torn = False
        file.write(b"\n" * torn + json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Every whole line of a file of JSON mappings."""
    try:
        text = path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if (
            isinstance(value, dict)
            and isinstance(value.get("time"), (int, float))
            and (
                "job" not in value
                or (isinstance(value["job"], int) and isinstance(value.get("state"), str))
            )
        ):
            yield value


def _read(path: Path, kind: type) -> Any:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    if not isinstance(value, kind) or (kind is dict and value.get("form") != FORM):
        raise UserError(f"{path}: is not one of this version")
    return value


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.write_text(text)
    os.replace(temporary, path)
