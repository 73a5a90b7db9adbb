"""What could be run next for the claims that are open, and which of it is worth most.

There are four kinds of moves. The *first look* runs the smallest size of a study. For a claim that
is undecided, *more seeds* extend the cells that it reads, and *further d* run cells of a larger
size where the claim is about a slope against d. *What was not run* runs the cells that a claim
requires. A move has a chance to decide each of the claims that read its cells, and takes a
predicted time; the one with the most decisions per second is run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from analysis.prospects import FIRST_INTERVAL_SEEDS, UNKNOWN_CHANCE
from analysis.registry import load_constant
from analysis.verdicts import Verdict
from bfc.application.claim_reads import select_jobs, select_required
from bfc.application.claim_states import ClaimState, StudyState
from bfc.application.study_jobs import extend_job, is_finished
from bfc.experiment.cost import Cost
from bfc.launch.job import PlannedJob
from bfc.stats.looks import GROWTHS, estimate_decision_chance

SMALLEST_CHANCE = 0.05
"""Below this chance of a decision nothing is run for a claim."""


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
        """Expected decisions per second of one core."""
        decisions = sum(chance for claim, chance in self.chances if not claim.is_in_flight)
        return decisions / max(1.0, self.seconds)

    @property
    def cells(self) -> frozenset[str]:
        return frozenset(spec.cell_id for request in self.requests for spec in request.job.cells)

    def predict_again(self, model: Cost) -> Move:
        """The move with the seconds of another model."""
        requests = tuple(request.predict_again(model) for request in self.requests)
        return replace(self, requests=requests)

    def predict_wall_seconds(self, cores: int) -> float:
        """On so many cores, which have nothing else to do."""
        longest = max((request.seconds for request in self.requests), default=0.0)
        return max(longest, self.seconds / cores)

    def fits(self, cores: int, seconds_left: float) -> bool:
        """Whether it can be run in the time that is left, beside what runs already."""
        is_free = self.study.cells_in_flight.isdisjoint(self.cells)
        return is_free and self.predict_wall_seconds(cores) <= seconds_left


def make_first_look(study: StudyState, model: Cost) -> Move:
    """What is missing of the smallest size of a study; without jobs where nothing is."""
    jobs = [job for job in study.jobs.of_size(study.jobs.sizes[0]) if not is_finished(job)]
    return _make_move(study, MoveKind.FIRST_LOOK, jobs, model, study.claims)


def list_moves(study: StudyState, model: Cost) -> list[Move]:
    """The moves of a study that are likely enough to decide the claim they are made for.

    Those of one claim and kind are in the order in which a look at it is best spent. Nothing is run
    for claims that are decided or have had their last look.
    """
    moves: list[Move] = []
    for claim in study.claims:
        if claim.is_open and not study.has_failed:
            candidates = _list_moves_of_claim(study, claim, model)
            moves += [move for move in candidates if move.chances[0][1] >= SMALLEST_CHANCE]
    return moves


def choose_move(moves: Iterable[Move], cores: int, seconds_left: float) -> Move | None:
    """The move with the most decisions per second that fits; None where there is none.

    Of the moves of one claim and kind the first that fits is considered.
    """
    candidates: dict[tuple[int, MoveKind], Move] = {}
    for move in moves:
        target, _ = move.chances[0]
        if not target.is_in_flight and move.fits(cores, seconds_left):
            candidates.setdefault((id(target), move.kind), move)
    return max(candidates.values(), key=lambda move: move.value, default=None)


def _list_moves_of_claim(study: StudyState, claim: ClaimState, model: Cost) -> Iterator[Move]:
    if claim.verdict is Verdict.NOT_RUN:
        yield from _list_first_runs(study, claim, model)
    else:
        yield from _list_extensions(study, claim)
        yield from _list_further_d(study, claim, model)


def _list_extensions(study: StudyState, claim: ClaimState) -> Iterator[Move]:
    """More seeds in the open cells of a claim, the growth that is most worth its look first."""
    jobs: dict[str, PlannedJob] = {}
    for cell in sorted(claim.prospect.cells):
        job = study.jobs.find_job(cell) if cell in study.stock else None
        if job is None:
            return
        jobs[cell] = job
    if jobs:
        for growth in _rank_growths(claim):
            yield _extend(study, claim, jobs, growth)


def _rank_growths(claim: ClaimState) -> list[float]:
    """Factors by which seeds may grow, by the chance of a decision for the cost, as in
    :func:`bfc.stats.looks.choose_growth`."""
    growths = set(GROWTHS)
    prospect = claim.prospect
    lacks_interval = any(math.isnan(part.distance) for part in prospect.parts)
    if lacks_interval and prospect.seeds:
        growths.add(max(min(GROWTHS), FIRST_INTERVAL_SEEDS / prospect.seeds))

    def chance_for_cost(growth: float) -> float:
        return prospect.estimate_chance(dict.fromkeys(prospect.cells, growth)) / growth

    return sorted(sorted(growths), key=chance_for_cost, reverse=True)


def _extend(
    study: StudyState, claim: ClaimState, jobs: dict[str, PlannedJob], growth: float
) -> Move:
    """The move that multiplies the seeds of cells, with its chance for every claim."""
    requests: list[JobRequest] = []
    growths: dict[str, float] = {}
    for cell, job in jobs.items():
        stock = study.stock[cell]
        num_seeds = math.ceil(growth * stock.seeds - 1e-9)
        seconds = (num_seeds - stock.seeds) * stock.seconds_per_seed
        growths[cell] = num_seeds / stock.seeds
        requests.append(JobRequest(job, seconds, num_seeds))
    chances = [(claim, claim.prospect.estimate_chance(growths))]
    for other in study.claims:
        if other is not claim and other.is_open and other.verdict is Verdict.UNDECIDED:
            chance = other.prospect.estimate_chance(growths)
            if chance >= SMALLEST_CHANCE:
                chances.append((other, chance))
    return Move(study, MoveKind.MORE_SEEDS, tuple(requests), tuple(chances))


def _list_first_runs(study: StudyState, claim: ClaimState, model: Cost) -> Iterator[Move]:
    """What was not run of the smallest size that has all that a claim requires."""
    for size in study.jobs.sizes:
        jobs = study.jobs.of_size(size)
        required = [_ensure_seeds(job, claim) for job in select_required(claim.claim, jobs) or ()]
        missing = [job for job in required if not is_finished(job)]
        if missing:
            others = [
                other
                for other in study.claims
                if other is not claim
                and other.verdict is Verdict.NOT_RUN
                and select_required(other.claim, required) is not None
            ]
            yield _make_move(study, MoveKind.NOT_RUN, missing, model, [claim, *others])
            return


def _ensure_seeds(job: PlannedJob, claim: ClaimState) -> PlannedJob:
    """The job with at least the seeds that a claim requires."""
    required = claim.claim.get("requires", {}).get("seeds", 0)
    return extend_job(job, required) if len(job.job.measure.seeds) < required else job


def _list_further_d(study: StudyState, claim: ClaimState, model: Cost) -> Iterator[Move]:
    """Cells at the next further d, where the claim is about a slope against d."""
    if not load_constant("predicates", claim.claim["predicate"], "IS_SLOPE_IN_D", False):
        return
    for size in study.jobs.sizes:
        selected = select_jobs(claim.claim, study.jobs.of_size(size))
        further = [job for job in selected if job.job.target.d not in claim.dimensions]
        missing = [job for job in further if not is_finished(job)]
        if missing:
            dimensions = {int(job.job.target.d) for job in missing}
            chance = _estimate_slope_chance(claim, dimensions)
            yield _make_move(study, MoveKind.FURTHER_D, missing, model, [claim], chance)
            return


def _estimate_slope_chance(claim: ClaimState, dimensions: Iterable[int]) -> float:
    """The chance that further d decide a slope, whose variance is one over the spread of log d."""
    spread = _sum_squares(claim.dimensions)
    larger = _sum_squares(claim.dimensions.union(dimensions))
    distances = [part.distance for part in claim.prospect.parts]
    if spread == 0 or any(map(math.isnan, distances)):
        return UNKNOWN_CHANCE
    growth, critical_value = larger / spread, claim.prospect.critical_value
    return float(np.prod(estimate_decision_chance(np.array(distances), growth, critical_value)))


def _sum_squares(dimensions: Iterable[int]) -> float:
    logs = np.log(sorted(dimensions))
    return float(((logs - logs.mean()) ** 2).sum()) if len(logs) else 0.0


def _make_move(
    study: StudyState,
    kind: MoveKind,
    jobs: Sequence[PlannedJob],
    model: Cost,
    claims: Sequence[ClaimState],
    chance: float = UNKNOWN_CHANCE,
) -> Move:
    """A move whose jobs take what the model says, with the same chance for each of its claims."""
    requests = [JobRequest(job, model.seconds(job.job, job.cells)) for job in jobs]
    return Move(study, kind, tuple(requests), tuple((claim, chance) for claim in claims))
