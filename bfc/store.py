"""The result store, the one truth: ``results/<cell id>/`` named by the content of what was asked. Every write is a new file renamed
over the old one, a running cell is claimed by one process, and nothing in a folder is ever executed or unpickled, so a
crash loses at most the work since the last checkpoint and a copied store is safe to read."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bfc.errors import UserError

LEASE = 120.0
"""Seconds without a heartbeat after which another host may take over a claim (file-system time, never a host clock)."""
HEARTBEAT = 20.0


class Store:
    """A folder of cells."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def cell(self, cell_id: str) -> Cell:
        return Cell(self.root / cell_id)


class Cell:
    """One result folder. Reading never creates it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, Any]]:
        """The stored trainings, one mapping each; empty if there are none.

        Raises :class:`UserError` where the file exists but cannot be read; it is then left as it is.
        """
        path = self.path / "trainings.parquet"
        if not path.exists():
            return []
        import pyarrow
        import pyarrow.parquet

        try:
            return pyarrow.parquet.read_table(path, use_threads=False).to_pylist()
        except (OSError, pyarrow.ArrowException) as error:
            raise UserError(f"{path}: cannot be read as a results table ({_first_line(error)}); "
                            "move it away to measure this cell anew") from error

    def write_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the table of trainings; columns are the union of the rows' keys in first-seen order."""
        import pyarrow
        import pyarrow.parquet

        columns = list(dict.fromkeys(key for row in rows for key in row))
        table = pyarrow.table({key: [row.get(key) for row in rows] for key in columns})
        self._replace("trainings.parquet", lambda path: pyarrow.parquet.write_table(table, path))

    def read_json(self, name: str, default: Any) -> Any:
        """The content of a JSON file in the folder, ``default`` if it is not there."""
        try:
            return json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return default
        except (OSError, ValueError) as error:
            raise UserError(f"{self.path / name}: cannot be read ({_first_line(error)}); move it away to go on") from error

    def write_json(self, name: str, value: Any) -> None:
        text = json.dumps(value, indent=1, sort_keys=True, allow_nan=True) + "\n"
        self._replace(name, lambda path: path.write_text(text))

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write config.yaml once; it never changes, since the folder is named by its content."""
        if not (self.path / "config.yaml").exists():
            text = yaml.safe_dump(dict(config), sort_keys=False)
            self._replace("config.yaml", lambda path: path.write_text(text))

    def status(self, state: str, **details: Any) -> None:
        """Write status.json: ``state`` (running, done, failed) and details such as done and total."""
        self.write_json("status.json", {"state": state, **details, "host": socket.gethostname(), "pid": os.getpid(), "time": time.time()})

    def add_request(self, request: Mapping[str, Any]) -> None:
        """Remember who asked for this cell and for what, once."""
        requests = self.read_json("requests.json", [])
        if request not in requests:
            self.write_json("requests.json", [*requests, dict(request)])

    def save_checkpoint(self, value: Mapping[str, Any]) -> None:
        """Replace the checkpoint by ``value``: plain containers of tensors, numbers and strings."""
        import torch

        self._replace("checkpoint.pt", lambda path: torch.save(dict(value), path))

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The checkpoint if there is a readable one; a damaged one costs its work only, so it is ignored."""
        import torch

        path = self.path / "checkpoint.pt"
        if not path.exists():
            return None
        try:
            return torch.load(path, weights_only=True, map_location="cpu")
        except (OSError, RuntimeError, ValueError, EOFError, KeyError, ImportError) as error:
            print(f"{path}: not readable ({_first_line(error)}); its stack starts again")
        except Exception as error:
            if type(error).__name__ != "UnpicklingError":
                raise
            print(f"{path}: holds more than plain tensors and is not loaded; its stack starts again")
        return None

    def drop_checkpoint(self) -> None:
        (self.path / "checkpoint.pt").unlink(missing_ok=True)

    def _replace(self, name: str, write: Any) -> None:
        """Write a temporary file beside ``name`` and rename it over; on any failure the old file stays."""
        self.path.mkdir(parents=True, exist_ok=True)
        temporary = self.path / f".{name}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        try:
            write(temporary)
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, self.path / name)
        finally:
            temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def claim(self) -> Iterator[None]:
        """Hold the folder exclusively. A claim of a dead process on this host, or one without heartbeat for LEASE seconds, is
        taken over; a live one raises :class:`UserError` naming its holder."""
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / "claim.json"
        token = uuid.uuid4().hex
        mine = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "started": _start_of(os.getpid()), "token": token})
        while not _create(path, mine):
            holder = self._stale_holder(path)
            if holder is not None:
                raise UserError(f"{self.path}: is being measured by {holder}; wait for it or stop it")
        stop = threading.Event()
        beat = threading.Thread(target=_beat, args=(path, stop), daemon=True)
        beat.start()
        try:
            yield
        finally:
            stop.set()
            beat.join()
            if token in _read_text(path):
                path.unlink(missing_ok=True)

    def _stale_holder(self, path: Path) -> str | None:
        """None when the claim is gone (it was stale and has been moved away, or its holder left); else who holds it."""
        text = _read_text(path)
        if not text:
            age_limit, holder, dead = HEARTBEAT, "another process", False
        else:
            try:
                claim = json.loads(text)
                same_host = claim["host"] == socket.gethostname()
                dead = same_host and _start_of(int(claim["pid"])) != claim["started"]
                age_limit, holder = LEASE, f"process {claim['pid']} on {claim['host']}"
            except (ValueError, KeyError, TypeError):
                age_limit, holder, dead = LEASE, "a process that left an unreadable claim", False
        try:
            before = path.stat()
        except FileNotFoundError:
            return None
        if not dead and _file_system_time(self.path) - before.st_mtime < age_limit:
            return holder
        grave = path.with_name(f".claim.{uuid.uuid4().hex[:8]}")
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == before.st_ino:
                os.replace(path, grave)
                grave.unlink(missing_ok=True)
        return None


def _create(path: Path, text: str) -> bool:
    """Create ``path`` with its full content in one step (hard link of a finished file); False if it exists."""
    temporary = path.with_name(f".claim.{uuid.uuid4().hex}")
    temporary.write_text(text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        with contextlib.suppress(OSError):
            os.utime(path)


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _start_of(pid: int) -> str:
    """When the process began, as a mark that tells a reused pid apart; empty if it does not run."""
    import psutil

    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return ""


def _file_system_time(folder: Path) -> float:
    probe = folder / f".time.{uuid.uuid4().hex[:8]}"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
