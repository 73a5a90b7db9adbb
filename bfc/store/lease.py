"""A folder held by one process at a time, on any file system that hosts share.

A claim is a hard link, which NFS too makes in one step, and lives as long as its modification time
keeps moving; times are those of the file server, never of a host's clock. Nothing here trusts a
lock that NFS breaks: the lock among the processes of one host only narrows a race that the token in
the claim decides.

A lease is Gray and Cheriton's (SOSP 1989): a claim that ends by itself unless its holder renews
it. To make a link and then read its count is how open(2), under O_EXCL, locks over NFS. Libraries
of plain locks (filelock, portalocker) offer neither, hence this module.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from bfc import stop_signals
from bfc.errors import UserError
from bfc.store.files import reread

_log = logging.getLogger(__name__)

LEASE = 120.0
"""Seconds without a heartbeat after which another host may take over a claim.

Above HEARTBEAT plus the minute for which NFS caches attributes.
"""
HEARTBEAT = 20.0
WAIT = 0.5
"""Seconds between two looks at a claim that is waited for."""
NAME = "claim.json"


class Busy(UserError):
    """Another process holds the folder."""


class Lease:
    """One process's hold on ``folder``, which must exist."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.token = folder, folder / NAME, uuid.uuid4().hex

    def take(self, wait: bool) -> None:
        """Make the claim.

        One of a dead process on this host, or without a heartbeat for LEASE seconds, is taken over;
        a live one raises :class:`Busy` naming its holder, or is waited for. Raises
        :class:`OSError` where nothing can be written.

        A process that waits also takes over a claim whose time did not move for LEASE seconds. A
        claim whose time lies in the future, as after a clock was set back, does not last until
        then.
        """
        has_reported, mark, since = False, None, time.monotonic()
        while True:
            holder = self._attempt(still=time.monotonic() - since > LEASE)
            if holder is None:
                return
            if not wait:
                raise Busy(f"{self.folder}: is being measured by {holder}; wait for it or stop it")
            if not has_reported:
                _log.info(f"{self.folder}: is being measured by {holder}; waiting for it")
            has_reported = True
            new_mark = _mark_of(self.path)
            if new_mark != mark:
                mark, since = new_mark, time.monotonic()
            stop_signals.raise_if_requested()
            time.sleep(WAIT)

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Keep the claim alive, and give it back at the end."""
        stop = threading.Event()
        beat = threading.Thread(target=_beat, args=(self.path, stop), daemon=True)
        beat.start()
        try:
            yield
        finally:
            stop.set()
            beat.join()
            with contextlib.suppress(OSError):
                if self.is_held():
                    self.path.unlink(missing_ok=True)

    def is_held(self) -> bool:
        """Whether the claim on disk is still this one."""
        return self.token in _read_text(self.path)

    def _attempt(self, still: bool) -> str | None:
        """One attempt at the claim: None if it is ours now, else who holds it.

        Reading and taking are one step for the processes of this host, since two that find the same
        stale claim must not both win.
        """
        claim = {
            "host": socket.gethostname(),
            "space": process_space(),
            "pid": os.getpid(),
            "started": start_of(os.getpid()),
            "token": self.token,
        }
        with _locked(self.folder):
            while not _create(self.path, json.dumps(claim)):
                holder = self._live_holder(still)
                if holder is not None:
                    return holder
        return None

    def _live_holder(self, still: bool) -> str | None:
        """Who holds the claim; None when it is gone, because it was stale or its holder left.

        ``still``: its time was seen not to move for a whole lease.
        """
        holder, age_limit, is_dead = _describe_claim(_read_text(self.path), still)
        try:
            before = self.path.stat()
        except FileNotFoundError:
            return None
        if not is_dead and file_system_time(self.folder) - before.st_mtime < age_limit:
            return holder
        grave = self.path.with_name(f".claim.{uuid.uuid4().hex[:8]}")
        with contextlib.suppress(FileNotFoundError):
            if _mark(self.path.stat()) == _mark(before):
                os.replace(self.path, grave)
                grave.unlink(missing_ok=True)
        return None


def is_claimed(folder: Path) -> bool:
    """Whether a process measures here, as far as a reader can tell who must not write.

    The hosts' clocks are compared, which may differ by a lease.
    """
    path = folder / NAME
    try:
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    _, age_limit, is_dead = _describe_claim(_read_text(path), still=False)
    return not is_dead and age < age_limit + LEASE


def _describe_claim(text: str, still: bool) -> tuple[str, float, bool]:
    """The holder in words, the age in seconds up to which the claim holds, and whether it is dead.

    A process of this host is known to be dead; of another one, only that its claim stands still.
    """
    if not text:
        return "another process", HEARTBEAT, still
    try:
        claim = json.loads(text)
        is_here = claim["host"] == socket.gethostname() and claim["space"] == process_space()
        is_dead = start_of(int(claim["pid"])) != claim["started"] if is_here else still
        return f"process {claim['pid']} on {claim['host']}", LEASE, is_dead
    except (ValueError, KeyError, TypeError):
        return "a process that left an unreadable claim", LEASE, still


def _create(path: Path, text: str) -> bool:
    """Create ``path`` with its full content in one step; False if it exists.

    It is a hard link of a finished file. Over NFS the answer to a repeated request may deny its own
    success, so the link count of the file decides.
    """
    temporary = path.with_name(f".claim.{uuid.uuid4().hex}")
    try:
        temporary.write_text(text, encoding="utf-8")
        try:
            os.link(temporary, path)
        except FileExistsError:
            return temporary.stat().st_nlink > 1
    finally:
        temporary.unlink(missing_ok=True)
    return True


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """A lock on the folder among the processes of this host.

    File systems that know none are used without.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _mark(status: os.stat_result) -> tuple[int, int, int]:
    """Tells a file from its successor, which may have got the same inode."""
    return status.st_ino, status.st_mtime_ns, status.st_size


def _mark_of(path: Path) -> tuple[int, int, int] | None:
    try:
        return _mark(path.stat())
    except FileNotFoundError:
        return None


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        with contextlib.suppress(OSError):
            os.utime(path)


def _read_text(path: Path) -> str:
    try:
        return reread(path.read_text)
    except FileNotFoundError:
        return ""


def process_space() -> str:
    """Where process numbers mean the same: a boot of a machine and, within it, a container.

    Two containers may share a host name.
    """
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    return ""


def start_of(pid: int) -> str:
    """When a process began, by which a reused pid is noticed; empty if it does not run."""
    import psutil

    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return ""


def file_system_time(folder: Path) -> float:
    """Now, as the file server sees it."""
    probe = folder / f".time.{uuid.uuid4().hex[:8]}"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)
