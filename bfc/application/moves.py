"""What could be run next for the claims that are open, and which of it is worth most.

There are four kinds of moves. The *first look* runs the smallest size of a study. For a claim that
is undecided, *more seeds* extend the cells that it reads, and *further d* run cells of a larger
size where the claim is about a slope against d. *What was not run* runs the cells that a claim
requires. A move has a chance to decide each of the claims that read its cells, and takes a
predicted time; the one with the most decisions per second is run.
:mod:`bfc.application.possible_moves` lists them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from itertools import chain

from bfc.application.claim_states import ClaimState, StudyState
from bfc.application.study_jobs import extend_job, is_finished
from bfc.experiment.cost import Cost
from bfc.launch.job import PlannedJob

HEADLINE_WEIGHT = 3.0
"""Decisions of other claims that the one of a headline is worth."""


class MoveKind(Enum):
    """The kinds of moves, in words."""

    FIRST_LOOK = "first look"
    MORE_SEEDS = "more seeds"
    FURTHER_D = "further d"
    NOT_RUN = "what was not run"


@dataclass(frozen=True)
class JobRequest:
    """A job, with its predicted seconds on one core."""

    job: PlannedJob
    seconds: float
    num_seeds: int | None = None
    """The seeds that it is extended to."""

    def predict_again(self, model: Cost) -> JobRequest:
        """The request with the seconds of another model; seconds of more seeds were measured."""
        if self.num_seeds is not None:
            return self
        return replace(self, seconds=model.seconds(self.job.job, self.job.cells))

    def build(self) -> PlannedJob:
        """The job to be run."""
        return self.job if self.num_seeds is None else extend_job(self.job, self.num_seeds)


@dataclass(frozen=True, eq=False)
class Move:
    """Jobs of one study that may decide some of its claims."""

    study: StudyState
    kind: MoveKind
    requests: tuple[JobRequest, ...]
    chances: tuple[tuple[ClaimState, float], ...]
    """The claims that it may decide, with the chance that it does; the first is the one that it is
    made for."""
    later_seconds: float = 0.0
    """Of one core, for the looks after this one that the chance counts on."""

    @property
    def seconds(self) -> float:
        """Of one core."""
        return sum(request.seconds for request in self.requests)

    @property
    def claims(self) -> list[ClaimState]:
        """The claims that are looked at when it has run."""
        return [claim for claim, _ in self.chances if not claim.is_in_flight]

    @property
    def value(self) -> float:
        """Expected decisions per second of one core, those of headlines weighted."""
        decisions = 0.0
        for claim, chance in self.chances:
            if not claim.is_in_flight:
                decisions += chance * (HEADLINE_WEIGHT if claim.is_headline else 1.0)
        return decisions / max(1.0, self.seconds + self.later_seconds)

    @property
    def cells(self) -> frozenset[str]:
        cells = chain.from_iterable(request.job.cells for request in self.requests)
        return frozenset(spec.cell_id for spec in cells)

    def list_unfinished_cells(self) -> set[str]:
        """The cells of which not all that was to be measured is stored."""
        jobs = [request.build() for request in self.requests]
        cells = chain.from_iterable(job.cells for job in jobs if not is_finished(job))
        return {spec.cell_id for spec in cells}

    def predict_again(self, model: Cost) -> Move:
        """The move with the seconds of another model."""
        requests = tuple(request.predict_again(model) for request in self.requests)
        return replace(self, requests=requests)

    def predict_wall_seconds(self, cores: int) -> float:
        """On so many cores, which have nothing else to do."""
        longest = max((request.seconds for request in self.requests), default=0.0)
        return max(longest, self.seconds / cores)

    def fits(self, cores: int, seconds_left: float, cells_in_flight: Collection[str]) -> bool:
        """Whether it can be run in the time that is left, beside what runs already.

        ``cells_in_flight``: those of any study that are being measured.
        """
        is_free = self.cells.isdisjoint(cells_in_flight)
        seconds = self.predict_wall_seconds(cores) + self.later_seconds / cores
        return is_free and seconds <= seconds_left


def choose_move(
    moves: Iterable[Move], cores: int, seconds_left: float, cells_in_flight: Collection[str] = ()
) -> Move | None:
    """The move with the most decisions per second that fits; None where there is none.

    Of the moves of one claim and kind the first that fits is considered.
    """
    candidates: dict[tuple[int, MoveKind], Move] = {}
    for move in moves:
        target, _ = move.chances[0]
        if not target.is_in_flight and move.fits(cores, seconds_left, cells_in_flight):
            candidates.setdefault((id(target), move.kind), move)
    return max(candidates.values(), key=lambda move: move.value, default=None)
