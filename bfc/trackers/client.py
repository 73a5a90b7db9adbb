"""How a running job shows its cells: it asks a tracker service, which reads the store.

Whatever goes wrong there costs a printed line and the view, never a number, and of time no more
than the tracker's ``patience``.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bfc.experiment.cell_runner import SilentObserver
from bfc.experiment.cell_spec import CellSpec, cell_specs
from bfc.experiment.job import Job
from bfc.trackers.protocol import Answer, RequestStatus, ShowRequest, build_request
from bfc.trackers.service import Service, ServiceError
from bfc.types import Observer, Tracker

_log = logging.getLogger(__name__)

_service: Service | None = None
_given_up = False
"""Whether a service was too slow once, after which this process shows nothing more."""


def get_service() -> Service:
    """The service of this process, started if there is none."""
    global _service
    if _service is None or _service.owner != os.getpid():
        _service = Service()
    return _service


def stop_service() -> None:
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
        self.tracker = tracker
        self.results = results
        self.study = study
        self.cell_id = cell_id

    def started(self) -> None:
        """Let the service start while the cell trains."""
        if not _given_up:
            with _failures_reported(self.results):
                get_service()

    def stored(self) -> None:
        """Show what was stored, where the tracker is live.

        Nothing is sent while the service is still busy with what was stored before.
        """
        if not self.tracker.live or _given_up:
            return
        with _failures_reported(self.results):
            service = get_service()
            _read_answers(service)
            if not service.pending:
                service.send(self._request(closed=False))

    def ended(self, error: BaseException | None) -> None:
        """Show the cell as it is stored, also where it failed.

        After an interrupt nothing is shown, so that nobody has to wait.
        """
        if error is None or isinstance(error, Exception):
            _show(self._request(closed=True), self.tracker.patience)

    def _request(self, closed: bool) -> ShowRequest:
        return build_request(self.tracker, self.results, self.study, [self.cell_id], closed)


def observe_cell(job: Job, spec: CellSpec) -> Observer:
    """The observer of a cell: its job's tracker, or nothing."""
    if job.tracker is None:
        return SilentObserver()
    return CellTracker(job.tracker, job.results, job.study_name, spec.cell_id)


def show_studies(jobs: Sequence[Job]) -> None:
    """Show whole studies at the end of a sweep, in every tracker and store that its jobs name."""
    patience: dict[str, float] = {}
    requests: dict[str, ShowRequest] = {}
    cells: dict[str, set[str]] = {}
    for job in jobs:
        if job.tracker is None:
            continue
        request = build_request(job.tracker, job.results, job.study_name, [], whole_study=True)
        key = request.to_json()
        requests[key] = request
        patience.setdefault(key, job.tracker.patience)
        cells.setdefault(key, set()).update(spec.cell_id for spec in cell_specs(job))
    for key, request in requests.items():
        _show(replace(request, cells=tuple(sorted(cells[key]))), patience[key])


def _show(request: ShowRequest, patience: float) -> None:
    """Send a request and wait until the service has answered everything."""
    global _given_up
    if _given_up:
        return
    with _failures_reported(request.results):
        service = get_service()
        service.send(request)
        deadline = time.monotonic() + patience
        while service.pending:
            answer = service.receive(max(0.0, deadline - time.monotonic()))
            if answer is None:
                _given_up = True
                raise ServiceError(
                    f"gave no answer within {patience:g} s and is not used again in this process"
                )
            _raise_failure(answer)


def _read_answers(service: Service) -> None:
    """Read the answers that are there, without waiting."""
    while service.pending:
        answer = service.receive(0.0)
        if answer is None:
            return
        _raise_failure(answer)


def _raise_failure(answer: Answer) -> None:
    if answer.status is RequestStatus.FAILED:
        raise ServiceError(f"failed ({answer.error})")


@contextmanager
def _failures_reported(results: str | Path) -> Iterator[None]:
    """Log what goes wrong with a tracker as one line, and go on.

    The service is stopped, and started anew for the next cell, so that no answer is ever taken for
    that of another request.
    """
    try:
        yield
    except (ServiceError, OSError) as error:
        stop_service()
        _log.warning(
            f"tracker {error}; results are stored as always, "
            f"and `bfc sync {Path(results).name}` shows them later"
        )
