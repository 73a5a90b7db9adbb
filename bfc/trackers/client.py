"""How a running job shows its cells: by asking a process beside it, which reads the store. Whatever
becomes of that process – an error, a kill, a server that never answers – costs a printed line and
the view, never a number, and of time no more than ``patience``."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from bfc.experiment.cell_runner import SilentObserver
from bfc.experiment.cell_spec import CellSpec, cell_specs
from bfc.experiment.job import Job
from bfc.types import Observer, Tracker


class Gone(Exception):
    """The service ended, or did not answer in time; the message completes "tracker ..."."""


class Service:
    """One service process and the requests it has not answered yet."""

    def __init__(self) -> None:
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bfc.application.tracker_service"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            start_new_session=True,
            bufsize=0,
        )
        self.owner = os.getpid()
        self.pending: list[Mapping[str, Any]] = []
        self._read = b""

    def ask(self, request: Mapping[str, Any]) -> None:
        """Send a request; its answer is the next that is not another's."""
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr]
        except OSError as error:
            raise Gone(self._ended()) from error
        self.pending.append(request)

    def answer(self, seconds: float) -> dict[str, Any] | None:
        """The next answer; None if there is none within ``seconds``."""
        until = time.monotonic() + seconds
        while b"\n" not in self._read:
            ready, _, _ = select.select(
                [self.process.stdout], [], [], max(0.0, until - time.monotonic())
            )
            if not ready:
                return None
            part = os.read(self.process.stdout.fileno(), 65536)  # type: ignore[union-attr]
            if not part:
                raise Gone(self._ended())
            self._read += part
        line, _, self._read = self._read.partition(b"\n")
        self.pending.pop(0)
        return json.loads(line)

    def close(self, seconds: float = 10.0) -> None:
        """Let it end by itself, which it does when there is nothing more to ask."""
        with suppress(OSError, subprocess.TimeoutExpired):
            self.process.stdin.close()  # type: ignore[union-attr]
            self.process.wait(seconds)
        self.stop()

    def stop(self) -> None:
        """End it at once, with whatever the tracker has started."""
        import psutil

        with suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
        self.process.kill()
        self._close()

    def _ended(self) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        last = (self.errors.read().decode(errors="replace").strip().splitlines() or [""])[-1]
        self._close()
        return f"ended with status {code}{f' ({last})' if last else ''}"

    def _close(self) -> None:
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]


_service: Service | None = None
_given_up = False


def service() -> Service:
    """The service of this process, started if there is none."""
    global _service
    if _service is None or _service.owner != os.getpid():
        _service = Service()
    return _service


def put_away() -> None:
    """Stop the service of this process."""
    global _service
    if _service is not None and _service.owner == os.getpid():
        _service.stop()
    _service = None


class CellTracker:
    """The :class:`bfc.types.Observer` that shows one cell through its tracker."""

    def __init__(
        self, tracker: Tracker, results: str | Path, study: str | None, cell_id: str
    ) -> None:
        self.tracker, self.results, self.study, self.cell_id = tracker, results, study, cell_id

    def started(self) -> None:
        """Let the service start while the cell trains."""
        if not _given_up:
            with _excused(self.results):
                service()

    def stored(self) -> None:
        """Show what was stored where the tracker is live, unless it is still at what was stored
        before."""
        if self.tracker.live and not _given_up:
            with _excused(self.results):
                while service().pending and (answer := service().answer(0.0)) is not None:
                    _raise(answer)
                if not service().pending:
                    service().ask(
                        request(
                            self.tracker, self.results, self.study, [self.cell_id], closed=False
                        )
                    )

    def ended(self, error: BaseException | None) -> None:
        """Show the cell as it is stored, also where it failed; whoever interrupts is not kept
        waiting."""
        if error is None or isinstance(error, Exception):
            _show(
                request(self.tracker, self.results, self.study, [self.cell_id]),
                self.tracker.patience,
            )


def observe_cell(job: Job, spec: CellSpec) -> Observer:
    """The observer of a cell: its job's tracker, or nothing."""
    if job.tracker is None:
        return SilentObserver()
    return CellTracker(job.tracker, job.results, job.study_name, spec.cell_id)


def show_studies(jobs: Sequence[Any]) -> None:
    """At the end of a sweep: its studies as a whole, in every tracker and store that its jobs name."""
    wanted: dict[str, tuple[dict[str, Any], float]] = {}
    for job in jobs:
        if job.tracker is not None:
            asked = request(job.tracker, job.results, job.study_name, [], whole=True)
            known, _ = wanted.setdefault(
                json.dumps(asked, sort_keys=True), (asked, job.tracker.patience)
            )
            known["cells"] = sorted({*known["cells"], *(spec.cell_id for spec in cell_specs(job))})
    for asked, patience in wanted.values():
        _show(asked, patience)


def request(
    tracker: Any,
    results: str | Path,
    study: str | None,
    cells: Sequence[str],
    closed: bool = True,
    whole: bool = False,
) -> dict[str, Any]:
    """What a service is asked: to show one cell, or a study as a whole with the cells it is made
    from."""
    return {
        "tracker": describe(tracker),
        "results": str(Path(results).resolve()),
        "study": study,
        "cells": list(cells),
        "closed": closed,
        "whole": whole,
        "folder": os.getcwd(),
    }


def describe(tracker: Any) -> dict[str, Any]:
    """A tracker as plain values: its class and its settings."""
    return {
        "_target_": f"{type(tracker).__module__}.{type(tracker).__qualname__}",
        **{f.name: getattr(tracker, f.name) for f in fields(tracker) if f.init},
    }


def _show(asked: Mapping[str, Any], patience: float) -> None:
    """Ask, and wait for the answer."""
    global _given_up
    if _given_up:
        return
    with _excused(asked["results"]):
        service().ask(asked)
        until = time.monotonic() + patience
        while service().pending:
            answer = service().answer(max(0.0, until - time.monotonic()))
            if answer is None:
                _given_up = True
                raise Gone(f"gave no answer within {patience:g} s and is left alone from here on")
            _raise(answer)


def _raise(answer: Mapping[str, Any]) -> None:
    if "error" in answer:
        raise Gone(f"failed ({answer['error']})")


@contextmanager
def _excused(results: str | Path) -> Iterator[None]:
    """Whatever goes wrong with a tracker is said in a line, and no more. The service is started
    anew for the next cell, so that no answer is ever taken for another's."""
    try:
        yield
    except (Gone, OSError) as error:
        put_away()
        print(
            f"tracker {error}; results are stored as always, and `bfc sync {Path(results).name}` shows them later",
            flush=True,
        )
