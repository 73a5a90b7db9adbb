"""What has been shown where: a small file per cell and destination below ``<results>/.uploads``,
written only after a tracker has taken everything, so that showing a cell again is free until its
results change, and an upload that was cut off is made again. Holding the lock of a receipt keeps
two processes from uploading one cell at the same time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bfc.errors import UserError
from bfc.store.cells import Cell

FOLDER = ".uploads"


@dataclass(frozen=True)
class Receipt:
    """``name``: of the run; ``folder``: of its destination."""

    folder: Path
    name: str

    @property
    def _file(self) -> str:
        return f"{self.name}.json"

    def holds(self, mark: str) -> bool:
        """Whether exactly this was shown, and is still there where that can be told."""
        stored = Cell(self.folder).read_json(self._file, {})
        where = stored.get("where")
        return stored.get("mark") == mark and (
            where is None or "://" in where or Path(where).exists()
        )

    def write(self, mark: str, where: str | None) -> None:
        """``where``: an address or a path; None where there is nothing to look at."""
        Cell(self.folder).write_json(
            self._file, {"mark": mark, "where": where, "time": time.time()}
        )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Raises :class:`UserError` where another process of this host is at it; file systems
        without locks are used without."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / f".{self.name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UserError(
                f"{self.folder}: cannot be written ({os.strerror(error.errno or 0)}), and what was shown is remembered there"
            ) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"{self.name}: is being shown by another process") from None
            except OSError:
                pass
            yield
        finally:
            os.close(handle)


VERSION = 1
"""Raised when the same store is to be shown differently, so that what was uploaded before is
uploaded again."""
SOURCES = ("config.yaml", "requests.json", "tuned.json", "trainings.parquet", "trace.parquet")


def fingerprint(folders: Sequence[Path]) -> str:
    """Changes whenever a view of these cells would."""
    digest = hashlib.sha256(f"{VERSION}".encode())
    for folder in folders:
        digest.update(folder.name.encode() + Cell(folder).state().encode())
        for name in SOURCES:
            path = folder / name
            digest.update(
                name.encode()
                + (hashlib.sha256(path.read_bytes()).digest() if path.exists() else b"")
            )
    return digest.hexdigest()
