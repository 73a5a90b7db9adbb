"""One pool of workers that is fed with the jobs of many studies, so that no core waits for another.

Every move is a launch of its own, so that ``bfc status`` and ``bfc logs`` find it.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Generic, Protocol, Self, TypeVar

from bfc.application.moves import JobRequest
from bfc.experiment.cost import Cost
from bfc.launch.job import PlannedJob, describe_jobs
from bfc.launch.local import identify_process
from bfc.launch.manifest import Launch
from bfc.launch.options import LocalOptions
from bfc.launch.plan import Plan, create_launch
from bfc.launch.worker_pool import WorkerPool

LEAST_SHARE_LEFT = 0.1
"""Share of its predicted time that a job which runs is taken to need still, at least."""


class JobGroup(Protocol):
    """Jobs that are submitted together: a move of ``bfc reproduce``, an entry of ``bfc table``."""

    @property
    def requests(self) -> tuple[JobRequest, ...]:
        """The jobs, with the seconds that they are predicted to take."""
        ...

    def predict_again(self, model: Cost) -> Self:
        """The same jobs with the seconds of another model."""
        ...


G = TypeVar("G", bound=JobGroup)


@dataclass(frozen=True)
class FinishedMove(Generic[G]):
    """A move whose jobs have all ended."""

    move: G
    failures: Mapping[int, str]
    """Number of a job that failed → why."""


class Feed(Protocol[G]):
    """What runs moves, all of one type."""

    cores: int

    def submit(self, move: G) -> None:
        """Begin a move, as soon as the cores get to it."""
        ...

    def take_finished(self) -> list[FinishedMove[G]]:
        """The moves that have ended since the last call."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when a job has ended, at the latest after so many seconds."""
        ...

    def count_waiting(self) -> int:
        """Jobs that no core works at yet, though one could.

        Those that wait for others of their move are not among them: a core that ends early has
        nothing to do with them.
        """
        ...

    def count_ended(self) -> int:
        """Jobs that have ended so far."""
        ...

    def predict_again(self, model: Cost) -> None:
        """Predict by another model what has not ended."""
        ...

    def list_moves(self) -> list[G]:
        """The moves that have not ended."""
        ...

    def predict_seconds_left(self) -> float:
        """Wall time until the cores have nothing left to do."""
        ...

    def stop(self) -> None:
        """End all jobs at once; what they have stored stays."""
        ...


@dataclass
class _Batch(Generic[G]):
    """The jobs of a move on their way."""

    move: G
    launch: Launch
    waves: deque[list[int]]
    """Numbers of the jobs that have not been submitted, wave by wave."""
    seconds: list[float]
    """Of every job, as predicted last."""
    futures: dict[int, Future[Any]] = field(default_factory=dict)
    started: dict[int, float] = field(default_factory=dict)
    """Number of a job → when it was first seen to run."""

    def pending(self) -> list[Future[Any]]:
        return [future for future in self.futures.values() if not future.done()]

    def count_ended(self) -> int:
        return len(self.futures) - len(self.pending())

    def predict_again(self, model: Cost) -> None:
        self.seconds = _list_seconds(self.move.predict_again(model))

    def seconds_left(self, now: float) -> float:
        """Predicted seconds of one core."""
        left = 0.0
        for number, seconds in enumerate(self.seconds):
            future = self.futures.get(number)
            if future is not None and future.done():
                continue
            if future is not None and future.running():
                elapsed = now - self.started.setdefault(number, now)
                left += max(LEAST_SHARE_LEFT * seconds, seconds - elapsed)
            else:
                left += seconds
        return left


class JobFeed(Generic[G]):
    """A :class:`Feed` of worker processes on this machine."""

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self._pool = WorkerPool(cores, logs=True)
        self._batches: list[_Batch[G]] = []
        self._num_ended = 0
        """Jobs of moves that have ended."""

    def submit(self, move: G) -> None:
        jobs = [request.build() for request in move.requests]
        seconds = _list_seconds(move)
        launch = _create_launch(jobs, seconds, self.cores)
        batch = _Batch(move, launch, _list_waves(launch), seconds)
        self._batches.append(batch)
        self._submit_wave(batch)

    def _submit_wave(self, batch: _Batch[G]) -> None:
        batch.futures |= self._pool.submit(batch.launch, batch.waves.popleft())

    def take_finished(self) -> list[FinishedMove[G]]:
        finished = []
        for batch in list(self._batches):
            if batch.pending():
                continue
            if batch.waves:
                self._submit_wave(batch)
                continue
            self._batches.remove(batch)
            self._num_ended += batch.count_ended()
            errors = {number: future.exception() for number, future in batch.futures.items()}
            failures = {number: str(error) for number, error in errors.items() if error is not None}
            finished.append(FinishedMove(batch.move, failures))
        return finished

    def wait(self, seconds: float) -> None:
        pending = self._list_pending()
        if pending:
            wait(pending, timeout=seconds, return_when=FIRST_COMPLETED)

    def _list_pending(self) -> list[Future[Any]]:
        return list(chain.from_iterable(batch.pending() for batch in self._batches))

    def count_waiting(self) -> int:
        return sum(not future.running() for future in self._list_pending())

    def count_ended(self) -> int:
        return self._num_ended + sum(batch.count_ended() for batch in self._batches)

    def predict_again(self, model: Cost) -> None:
        for batch in self._batches:
            batch.predict_again(model)

    def list_moves(self) -> list[G]:
        return [batch.move for batch in self._batches]

    def predict_seconds_left(self) -> float:
        now = time.monotonic()
        return math.fsum(batch.seconds_left(now) for batch in self._batches) / self.cores

    def stop(self) -> None:
        self._pool.stop()


def _list_seconds(move: JobGroup) -> list[float]:
    return [request.seconds for request in move.requests]


def _create_launch(jobs: Sequence[PlannedJob], seconds: Sequence[float], cores: int) -> Launch:
    stored = [False] * len(jobs)
    plan = Plan(jobs, stored, describe_jobs(jobs, stored, seconds), Cost())
    options = LocalOptions(processes=cores, confirmed=True)
    launch = create_launch(plan, "local", options, frozen=False)
    launch.add_submission(
        kind="local",
        packs=[list(range(len(jobs)))],
        ids=["pool"],
        attempt=0,
        processes=cores,
        **identify_process(os.getpid()),
    )
    return launch


def _list_waves(launch: Launch) -> deque[list[int]]:
    """The numbers of the jobs of a launch, wave by wave, in each the longest first."""
    waves: dict[int, list[int]] = {}
    for number, entry in enumerate(launch.jobs):
        waves.setdefault(entry["wave"], []).append(number)
    for numbers in waves.values():
        numbers.sort(key=lambda number: launch.jobs[number]["seconds"], reverse=True)
    return deque(waves[wave] for wave in sorted(waves))
