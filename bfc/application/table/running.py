"""Runs what is missing of the table within a budget: the entries that cost least come first.

An entry is begun only where its predicted time still fits, so that most entries are whole when the
budget ends. What a deadline cuts short stays stored, and the next run goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bfc.application.job_feed import Feed, FinishedMove
from bfc.application.table.entries import MissingJobs, PlannedEntry
from bfc.durations import format_prediction
from bfc.experiment.cost import Cost

WAIT_SECONDS = 1.0
MARGIN = 0.9
"""Share of the time left that predictions may fill; jobs take longer than predicted, too."""


@dataclass
class TableRun:
    """Runs entries on the cores of this machine until nothing fits or ``deadline`` has come.

    ``deadline``: on ``clock``, infinite without a budget. ``announce``: shows what begins and ends.
    """

    entries: Sequence[PlannedEntry]
    feed: Feed[MissingJobs]
    fit_model: Callable[[], Cost]
    clock: Callable[[], float]
    deadline: float
    is_stopped: Callable[[], bool]
    announce: Callable[[str], None]
    failures: dict[PlannedEntry, str] = field(default_factory=dict)
    """Entries of which a job failed → why."""

    def run(self) -> None:
        """Run until the time is over, nothing that is left fits, or an end is asked for."""
        model = self.fit_model()
        waiting = [entry.list_missing(model) for entry in self.entries]
        waiting = [missing for missing in waiting if missing.requests]
        num_fitted = 0
        while not self.is_stopped() and self.seconds_left > 0:
            for finished in self.feed.take_finished():
                self._note(finished)
            if self.feed.count_ended() >= max(1, 2 * num_fitted):
                num_fitted = self.feed.count_ended()
                model = self.fit_model()
                self.feed.predict_again(model)
                waiting = [missing.predict_again(model) for missing in waiting]
            self._begin_entries(waiting)
            if not self.feed.list_moves():
                break
            self.feed.wait(min(WAIT_SECONDS, self.seconds_left))
        self.feed.stop()

    @property
    def seconds_left(self) -> float:
        return self.deadline - self.clock()

    def _begin_entries(self, waiting: list[MissingJobs]) -> None:
        """Begin the cheapest entries that fit until every core has a job waiting for it."""
        waiting.sort(key=lambda missing: missing.seconds)
        while waiting and self.feed.count_waiting() < self.feed.cores:
            missing = waiting[0]
            wall_seconds = missing.predict_wall_seconds(self.feed.cores)
            if self.feed.predict_seconds_left() + wall_seconds > MARGIN * self.seconds_left:
                return
            waiting.remove(missing)
            num_jobs = len(missing.requests)
            self.announce(
                f"{describe_entry(missing.entry)}: {num_jobs} job{'s' * (num_jobs != 1)}, "
                f"{format_prediction(wall_seconds)}"
            )
            self.feed.submit(missing)

    def _note(self, finished: FinishedMove[MissingJobs]) -> None:
        entry = finished.move.entry
        if not finished.failures:
            self.announce(f"{describe_entry(entry)}: done")
            return
        reason = next(iter(finished.failures.values()))
        self.failures[entry] = reason
        self.announce(f"{describe_entry(entry)}: failed: {reason}")


def choose_entries(waiting: Sequence[MissingJobs], cores: int, seconds: float) -> list[MissingJobs]:
    """The entries that a run of so many ``seconds`` begins, if all take as long as predicted."""
    chosen: list[MissingJobs] = []
    busy_seconds = 0.0
    for missing in sorted(waiting, key=lambda missing: missing.seconds):
        if busy_seconds + missing.predict_wall_seconds(cores) > MARGIN * seconds:
            break
        chosen.append(missing)
        busy_seconds += missing.seconds / cores
    return chosen


def describe_entry(entry: PlannedEntry) -> str:
    """An entry as a line of output shows it."""
    return f"{entry.column.title} on {entry.row.title}"
