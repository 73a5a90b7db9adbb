"""Claims, jobs and a pool that stand for real ones where the spending of a budget is tested.

No cell is trained: what is "stored" is a set of cell ids, and time passes when the pool is waited
for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analysis.prospects import OpenPart, Prospect, Stock
from bfc.application import moves as moves_module
from bfc.application import possible_moves
from bfc.application.claim_states import ClaimState, StudyState
from bfc.application.job_feed import FinishedMove
from bfc.application.moves import Move
from bfc.application.study_jobs import StudyJobs
from bfc.experiment.cost import Cost
from bfc.stats.claim_verdicts import Verdict

SEEDS = 8


class SceneJobs(StudyJobs):
    """The jobs of a study that is made up: size → method → its d."""

    def __init__(self, study: str, sizes: dict[str, dict[str, Sequence[int]]]) -> None:
        super().__init__(study, tuple(sizes), Path("nowhere"))
        for size, methods in sizes.items():
            self._composed[size] = [
                make_job(method, d) for method, dimensions in methods.items() for d in dimensions
            ]


def make_job(method: str, d: int, seeds: int = SEEDS) -> Any:
    """A job with one cell, named after its method and d."""
    spec = SimpleNamespace(
        cell_id=f"{method}-{d}", method=method, kind="learner", config={"d": d, "L": 2}
    )
    measure = SimpleNamespace(seeds=tuple(range(seeds)), largest_n=64)
    job = SimpleNamespace(measure=measure, target=SimpleNamespace(d=d), learner=True, baseline=None)
    return SimpleNamespace(job=job, cells=(spec,))


class SceneCost:
    """A cost model by which every job takes the same time."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds

    def seconds(self, job: Any, specs: Any) -> float:
        return self._seconds


def make_claim(*methods: str, predicate: str = "median_value", **fields: Any) -> ClaimState:
    """A claim about some methods before its first look."""
    thresholds = {f"method{i}": method for i, method in enumerate(methods)}
    claim = {"statement": f"{methods} {fields}", "predicate": predicate, "thresholds": thresholds}
    return ClaimState("scene", {**claim, **fields})


def leave_open(claim: ClaimState, distance: float, *cells: str, seeds: int = SEEDS) -> None:
    """A look at a claim that leaves it undecided."""
    claim.verdict = Verdict.UNDECIDED
    claim.looks += 1
    claim.prospect = Prospect((OpenPart(frozenset(cells), distance, 0.0),), seeds)


def make_study(
    sizes: dict[str, dict[str, Sequence[int]]], *claims: ClaimState, seconds_per_seed: float = 1.0
) -> StudyState:
    """A study all of whose cells of the smallest size have :data:`SEEDS` seeds."""
    jobs = SceneJobs("scene", sizes)
    cells = [spec.cell_id for job in jobs.of_size(jobs.sizes[0]) for spec in job.cells]
    stock = {cell: Stock(SEEDS, seconds_per_seed) for cell in cells}
    return StudyState(jobs, claims, stock)


def store_cells(monkeypatch: pytest.MonkeyPatch, cells: Collection[str]) -> None:
    """Let these cells be finished; the collection may grow."""

    def is_finished(job: Any) -> bool:
        return all(spec.cell_id in cells for spec in job.cells)

    for module in (moves_module, possible_moves):
        monkeypatch.setattr(module, "is_finished", is_finished)
    monkeypatch.setattr(moves_module, "extend_job", lambda job, num_seeds: job)
    monkeypatch.setattr(StudyJobs, "_find_size", lambda self, cell: None)


class SceneFeed:
    """A pool whose moves take the time that is predicted for them, one after the other."""

    def __init__(self, cores: int = 2) -> None:
        self.cores = cores
        self.now = 0.0
        self.submitted: list[Move] = []
        self.was_stopped = False
        self.failing: Collection[str] = ()
        """Cells whose jobs fail."""
        self.on_finish: Callable[[Move], None] = lambda move: None
        self._queue: list[tuple[float, Move]] = []
        self._num_ended = 0
        self.models: list[Cost] = []
        """By which what had not ended was predicted again."""

    def submit(self, move: Move) -> None:
        self.submitted.append(move)
        start = max([self.now, *(end for end, _ in self._queue)])
        self._queue.append((start + move.predict_wall_seconds(self.cores), move))

    def take_finished(self) -> list[FinishedMove]:
        ended = [move for end, move in self._queue if end <= self.now]
        self._queue = [(end, move) for end, move in self._queue if end > self.now]
        for move in ended:
            self._num_ended += len(move.requests)
            self.on_finish(move)
        return [FinishedMove(move, self._list_failures(move)) for move in ended]

    def _list_failures(self, move: Move) -> dict[int, str]:
        return {
            number: "broken"
            for number, request in enumerate(move.requests)
            if any(spec.cell_id in self.failing for spec in request.job.cells)
        }

    def wait(self, seconds: float) -> None:
        self.now = min([self.now + seconds, *(end for end, _ in self._queue)])

    def count_waiting(self) -> int:
        return sum(len(move.requests) for _, move in self._queue[1:])

    def count_ended(self) -> int:
        return self._num_ended

    def predict_again(self, model: Cost) -> None:
        self.models.append(model)

    def list_moves(self) -> list[Move]:
        return [move for _, move in self._queue]

    def predict_seconds_left(self) -> float:
        return max([0.0, *(end - self.now for end, _ in self._queue)])

    def stop(self) -> None:
        self.was_stopped = True
