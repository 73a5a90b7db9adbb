"""What has been shown where: a small file per cell and destination below ``<results>/.uploads``.

A record is written only after a tracker has taken everything. So showing a cell again is free until
its results change, and an upload that was cut off is made again. The lock of a record keeps two
processes from uploading one cell at the same time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from bfc.errors import UserError
from bfc.store.cells import Cell

UPLOADS_FOLDER = ".uploads"
VERSION = 1
"""Raised when the same store is to be shown differently, which uploads everything again."""
SOURCES = ("config.yaml", "requests.json", "tuned.json", "trainings.parquet", "trace.parquet")
"""The files of a cell from which a snapshot is made."""


@dataclass(frozen=True)
class UploadRecord:
    """What one destination was shown of one run."""

    folder: Path
    """The folder of the destination."""
    name: str
    """The name of the run."""

    @property
    def _file(self) -> str:
        return f"{self.name}.json"

    def matches(self, fingerprint: str) -> bool:
        """Whether exactly this was shown, and is still there as far as can be checked."""
        record = Cell(self.folder).read_json(self._file, {})
        if record.get("mark") != fingerprint:
            return False
        where = record.get("where")
        return where is None or "://" in where or Path(where).exists()

    def write(self, fingerprint: str, where: str | None) -> None:
        """Record what was shown; ``where`` is an address or a path, None if there is neither."""
        record = {"mark": fingerprint, "where": where, "time": time.time()}
        Cell(self.folder).write_json(self._file, record)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of this record.

        Raises :class:`UserError` where another process of this host holds it. On file systems
        without locks the record is used without.
        """
        lock = FileLock(self.folder / f".{self.name}.lock", timeout=0)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise UserError(f"{self.name}: is being shown by another process") from None
        except NotImplementedError:  # a file system without locks
            pass
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise UserError(
                f"{self.folder}: cannot be written ({reason}), but what was shown is recorded there"
            ) from error
        try:
            yield
        finally:
            lock.release()


def fingerprint_cells(folders: Sequence[Path]) -> str:
    """A hash that changes whenever the snapshot of these cells would."""
    digest = hashlib.sha256(f"{VERSION}".encode())
    for folder in folders:
        digest.update(folder.name.encode() + Cell(folder).state().encode())
        for name in SOURCES:
            path = folder / name
            content_hash = hashlib.sha256(path.read_bytes()).digest() if path.exists() else b""
            digest.update(name.encode() + content_hash)
    return digest.hexdigest()
