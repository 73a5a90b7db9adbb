"""The result store: ``results/<cell id>/``, named by the content of what was asked.

Every write is a new file renamed over the old one, a running cell is claimed by one process, and
nothing in a folder is ever executed or unpickled. A crash therefore loses at most the work since
the last checkpoint, and a copied store is safe to read.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bfc.errors import UserError
from bfc.store import checkpoint
from bfc.store.atomic import replace_file
from bfc.store.config_check import check_defaults, contains
from bfc.store.files import WrongContent, first_line, read_json, reread, write_table
from bfc.store.lease import LEASE, Lease, file_system_time
from bfc.store.stored_rows import load_rows, make_table
from bfc.yaml_text import parse_yaml

_log = logging.getLogger(__name__)

FILES = (
    "config.yaml",
    "environment.json",
    "requests.json",
    "plan.json",
    "tuned.json",
    "status.json",
    "checkpoint.pt",
    "trace.parquet",
    "trainings.parquet",
)
"""What a cell may write."""
COLUMNS = ("kind", "n", "seed", "risk", "fresh")
"""What every table of trainings has."""


class Store:
    """A folder of cells."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def cell(self, cell_id: str) -> Cell:
        return Cell(self.root / cell_id)

    def check(self) -> None:
        """Refuse a path that cannot be a folder; nothing is created."""
        for path in (self.root, *self.root.parents):
            if os.path.lexists(path):
                if not path.is_dir():
                    raise UserError(f"results={self.root}: must be a folder, and {path} is none")
                return


class Cell:
    """One result folder.

    Reading never creates it; a file that cannot be read is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lease: Lease | None = None

    def rows(self, name: str = "trainings") -> list[dict[str, Any]]:
        """The rows of a table of the cell, one mapping each; empty if there are none.

        Raises :class:`UserError` where the file exists but cannot be read; it is then left as it
        is.
        """
        required = COLUMNS if name == "trainings" else ()
        return load_rows(self.path / f"{name}.parquet", self.path.name, required)

    def write_rows(self, rows: Sequence[Mapping[str, Any]], name: str = "trainings") -> None:
        """Replace a table of the cell.

        Its columns are the union of the rows' keys in first-seen order.
        """
        self._check_claim()
        table = make_table(rows, self.path.name)
        self._replace(f"{name}.parquet", lambda path: write_table(table, path))

    def read_json(self, name: str, default: Any, kind: type = dict) -> Any:
        """The content of a JSON file in the folder, ``default`` if it is not there."""
        path = self.path / name
        try:
            return read_json(path, kind)
        except FileNotFoundError:
            return default
        except WrongContent as error:
            content = "mapping" if kind is dict else kind.__name__
            raise UserError(
                f"{path}: cannot be read (it holds no {content}); move it away to go on"
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(
                f"{path}: cannot be read ({first_line(error)}); move it away to go on"
            ) from error

    def write_json(self, name: str, value: Any) -> None:
        text = json.dumps(value, indent=1, sort_keys=True, allow_nan=True) + "\n"
        self._replace(name, lambda path: path.write_text(text))

    def check_config(self, identity: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
        """Whether config.yaml is there.

        Raises :class:`UserError` if it does not describe the cell of this identity, or holds
        another default than ``config``, its present configuration.
        """
        import yaml  # here, since the library works without it

        path = self.path / "config.yaml"
        try:
            stored = parse_yaml(reread(path.read_text))
        except FileNotFoundError:
            return False
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise UserError(
                f"{path}: cannot be read ({first_line(error)}); move it away to go on"
            ) from error
        if not contains(stored, identity):
            raise UserError(
                f"{path}: does not describe this cell, so it was changed; move it away to go on"
            )
        check_defaults(path, stored, {key: config[key] for key in identity})
        return True

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write config.yaml once; it never changes, since the folder is named by its content."""
        if not (self.path / "config.yaml").exists():
            import yaml  # here, since the library works without it

            text = yaml.safe_dump(dict(config), sort_keys=False)
            self._replace("config.yaml", lambda path: path.write_text(text))

    def status(self, state: str, **details: Any) -> None:
        """Write status.json: ``state`` (running, done, failed) and details such as the total."""
        process = {"host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
        self.write_json("status.json", {"state": state, **details, **process})

    def requests(self) -> list[Any]:
        """What was asked for so far."""
        requests: list[Any] = self.read_json("requests.json", [], list)
        return requests

    def state(self) -> str:
        """``running``, ``done``, ``failed``, ``stopped``, or ``unknown`` before anything began."""
        return str(self.read_json("status.json", {}).get("state", "unknown"))

    def failure(self) -> str:
        """The error of the run that failed last; empty where the last one did not."""
        status = self.read_json("status.json", {})
        return str(status.get("error", "")) if status.get("state") == "failed" else ""

    def studies(self) -> list[str | None]:
        """The studies that asked for this cell, None for a job without study."""
        requests = [request for request in self.requests() if isinstance(request, dict)]
        return list(dict.fromkeys(request.get("study") for request in requests)) or [None]

    def add_request(self, request: Mapping[str, Any]) -> None:
        """Remember who asked for this cell and for what, once."""
        requests = self.requests()
        if request not in requests:
            self.write_json("requests.json", [*requests, dict(request)])

    def save_checkpoint(self, value: Mapping[str, Any]) -> None:
        """Replace the checkpoint by plain containers of tensors, numbers and strings.

        A checkpoint only saves work, so where none can be written (a full disk) the training goes
        on.
        """
        self._check_claim()
        content = checkpoint.serialise(value)
        try:
            self._replace("checkpoint.pt", lambda path: path.write_bytes(content))
        except UserError as error:
            _log.warning(f"{error}; training goes on without a checkpoint")

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The checkpoint if there is a readable one.

        A damaged one costs its work only, so it is ignored.
        """
        return checkpoint.load(self.path / "checkpoint.pt")

    def drop_checkpoint(self) -> None:
        (self.path / "checkpoint.pt").unlink(missing_ok=True)

    def _replace(self, name: str, write: Callable[[Path], object]) -> None:
        """Write a temporary file and rename it over ``name``; on failure the old file stays."""
        try:
            replace_file(self.path / name, write)
        except OSError as error:
            raise UserError(
                f"{self.path / name}: cannot be written ({_reason(error)}); what was stored "
                "before is untouched"
            ) from error

    @contextlib.contextmanager
    def claim(self, wait: bool = False) -> Iterator[None]:
        """Hold the folder exclusively.

        A live claim of another process raises :class:`bfc.store.lease.Busy`, which names its
        holder, or is waited for.
        """
        lease = Lease(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._check_places()
            lease.take(wait)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({_reason(error)})") from error
        self._lease = lease
        try:
            with lease.beating():
                self._remove_leftovers()
                yield
        finally:
            self._lease = None

    def _check_places(self) -> None:
        """Refuse a folder in which a file could not be replaced, before anything is trained.

        Raises ``OSError`` where no file can be written at all.
        """
        for name in FILES:
            if os.path.isdir(self.path / name):
                raise UserError(
                    f"{self.path / name}: is a folder, where this cell writes a file; move it away "
                    "to go on"
                )
        replace_file(self.path / f".{max(FILES, key=len)}.probe", Path.touch)
        (self.path / f".{max(FILES, key=len)}.probe").unlink(missing_ok=True)

    def _check_claim(self) -> None:
        """Refuse to write results under a claim that was lost.

        This happens to a process that was suspended for long.
        """
        if self._lease is not None and not self._lease.is_held():
            raise UserError(
                f"{self.path}: another process has taken over this cell while this one stood "
                "still; what it stored is kept"
            )

    def _remove_leftovers(self) -> None:
        """Remove temporary files that a killed process left, where that is possible."""
        with contextlib.suppress(OSError):
            now = file_system_time(self.path)
            for path in self.path.glob(".*"):
                if now - path.stat().st_mtime > LEASE:
                    path.unlink(missing_ok=True)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else first_line(error)
