"""Show a whole store at a tracker afterwards.

Every cell goes into the projects of its studies, then the studies themselves. What was shown
before is passed over, so this can run after every sweep, or every night. A busy server is waited
for, longer every time, and is never asked for more than a steady number of runs a minute.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os.path import isfile
from pathlib import Path

from bfc.errors import UserError, nearest
from bfc.store.cell_folder import read_cell_folder
from bfc.store.cell_rows import Unreadable
from bfc.store.cells import Cell
from bfc.trackers.protocol import Answer, RequestStatus, build_request
from bfc.trackers.service import Service, ServiceError
from bfc.types import Tracker

FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0
"""Seconds between two attempts at a run: doubled each time."""
REFUSED = re.compile(
    r"api.?key|wandb login|\b40[13]\b|permission denied|unauthori[sz]ed", re.IGNORECASE
)
"""What errors contain that another attempt cannot mend."""
UNFINISHED_STATES = ("running", "unknown")


@dataclass(frozen=True)
class TrackerRun:
    """One run to be shown: a cell in a project, or a whole study."""

    study: str | None
    cells: tuple[str, ...]
    """The cell, or every cell that the study is made from."""
    whole_study: bool = False

    def __str__(self) -> str:
        part = "the study as a whole" if self.whole_study else self.cells[0]
        return f"{self.study or 'no study'}, {part}"


@dataclass(frozen=True)
class RunList:
    """What a store has to show."""

    runs: list[TrackerRun]
    unfinished: int
    """Cells that are not finished."""
    problems: list[str]
    """Sentences about cells that cannot be read; they are left out."""


@dataclass
class SyncSummary:
    """How many runs were shown, and which could not be."""

    shown: int = 0
    unchanged: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Run → its last error."""


@dataclass(frozen=True)
class UploadRate:
    """How hard a server is asked."""

    per_minute: float
    """Most runs to upload in a minute."""
    tries: int
    """Attempts at each run."""


def find_cells(results: Path) -> list[Path]:
    """The folders of the cells of a store, by name."""
    if not results.is_dir():
        return []
    return [folder for folder in sorted(results.iterdir()) if isfile(folder / "config.yaml")]


def list_runs(results: Path, study: str | None = None) -> RunList:
    """The runs that a store has to show, the studies last.

    Raises :class:`UserError` where there is nothing, or no such study.
    """
    if not results.is_dir():
        raise UserError(f"{results}: there is no such folder")
    studies, problems = read_studies(find_cells(results))
    if not studies:
        skipped = f" ({len(problems)} skipped, the first: {problems[0]})" if problems else ""
        raise UserError(f"{results}: holds no measured cell{skipped}")
    if study is not None:
        _check_study(study, studies.values(), results)
    unfinished = {folder for folder in studies if Cell(folder).state() in UNFINISHED_STATES}
    finished: dict[str | None, list[str]] = {}
    for folder, names in studies.items():
        if folder in unfinished:
            continue
        for name in names:
            if study is None or name == study:
                finished.setdefault(name, []).append(folder.name)
    runs = []
    for name, cells in finished.items():
        runs += [TrackerRun(name, (cell,)) for cell in cells]
    runs += [TrackerRun(name, tuple(cells), whole_study=True) for name, cells in finished.items()]
    return RunList(runs, len(unfinished), problems)


def read_studies(folders: Iterable[Path]) -> tuple[dict[Path, list[str | None]], list[str]]:
    """Cell → the studies that asked for it, and a sentence about every cell that cannot be read."""
    studies: dict[Path, list[str | None]] = {}
    problems: list[str] = []
    for folder in folders:
        try:
            Cell(folder).state()
            studies[folder] = Cell(folder).studies()
        except UserError as error:
            problems.append(str(error))
    return studies, problems


def find_damage(results: Path, runs: Iterable[TrackerRun]) -> dict[str, str]:
    """Cell → why its files cannot be read, for the cells of the runs that would be shown in part or
    not at all.
    """
    damage: dict[str, str] = {}
    for cell in sorted({run.cells[0] for run in runs if not run.whole_study}):
        try:
            read_cell_folder(results / cell, complete=lambda config: config)
        except Unreadable as reason:
            damage[cell] = str(reason)
        except OSError as error:
            damage[cell] = error.strerror or str(error)
    return damage


def _check_study(study: str, studies: Iterable[list[str | None]], results: Path) -> None:
    """Refuse a study that no cell of the store was asked for by."""
    names: set[str | None] = set()
    for cell_studies in studies:
        names.update(cell_studies)
    if study not in names:
        known = [name for name in names if name is not None]
        raise UserError(f"study {study}: is not in {results}; {nearest(study, known)}")


def show_runs(
    tracker: Tracker,
    results: Path,
    runs: Sequence[TrackerRun],
    summary: SyncSummary,
    rate: UploadRate,
    report: Callable[[str], None],
) -> Iterator[TrackerRun]:
    """Show every run, counting in ``summary``; yields each when it is done with.

    Ends early, with the rest as failed, where the tracker refuses the credentials. Every further
    attempt at a run is announced with ``report``.
    """
    service = _RateLimitedService(tracker, results, 60 / rate.per_minute)
    try:
        for place, run in enumerate(runs):
            answer = _show_patiently(service, run, rate.tries, report)
            if answer.status is RequestStatus.SHOWN:
                summary.shown += 1
            elif answer.status is RequestStatus.UNCHANGED:
                summary.unchanged += 1
            elif REFUSED.search(answer.error):
                summary.failed |= {str(other): answer.error for other in runs[place:]}
                return
            else:
                summary.failed[str(run)] = answer.error
            yield run
    finally:
        service.close()


def _show_patiently(
    service: _RateLimitedService, run: TrackerRun, tries: int, report: Callable[[str], None]
) -> Answer:
    """The answer to the first attempt that succeeds or is refused, else to the last."""
    wait = FIRST_WAIT
    answer = service.show(run)
    for _ in range(tries - 1):
        if answer.status is not RequestStatus.FAILED or REFUSED.search(answer.error):
            break
        report(f"{run}: {answer.error}; trying again in {wait:g} s")
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)
        answer = service.show(run)
    return answer


class _RateLimitedService:
    """A service that is asked for one run at a time, with ``seconds_apart`` between two uploads."""

    def __init__(self, tracker: Tracker, results: Path, seconds_apart: float) -> None:
        self.tracker = tracker
        self.results = results
        self.seconds_apart = seconds_apart
        self._service: Service | None = None
        self._last_upload = -seconds_apart

    def show(self, run: TrackerRun) -> Answer:
        """Show one run; after an error the service is started anew, whatever state it was in."""
        time.sleep(max(0.0, self._last_upload + self.seconds_apart - time.monotonic()))
        start = time.monotonic()
        if self._service is None:
            self._service = Service()
        answer = self._ask(self._service, run)
        if answer.status is not RequestStatus.UNCHANGED:
            self._last_upload = start
        if answer.status is RequestStatus.FAILED:
            self._service.stop()
            self._service = None
        return answer

    def close(self) -> None:
        """Let the service end."""
        if self._service is not None:
            self._service.close()

    def _ask(self, service: Service, run: TrackerRun) -> Answer:
        request = build_request(
            self.tracker, self.results, run.study, run.cells, whole_study=run.whole_study
        )
        patience = self.tracker.patience
        try:
            service.send(request)
            answer = service.receive(patience)
        except ServiceError as error:
            return Answer(RequestStatus.FAILED, error=str(error))
        return answer or Answer(RequestStatus.FAILED, error=f"no answer within {patience:g} s")
