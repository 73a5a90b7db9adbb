"""Lists what could be run for the claims of a study: its moves, with their chances to decide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np

from analysis.prospects import UNKNOWN_CHANCE
from analysis.registry import load_constant
from bfc.application.claim_reads import (
    list_selections,
    select_jobs,
    select_read,
    select_required,
)
from bfc.application.claim_states import ClaimState, StudyState
from bfc.application.extensions import Extension, estimate_growths, rank_extensions
from bfc.application.moves import JobRequest, Move, MoveKind
from bfc.application.study_jobs import extend_job, is_finished
from bfc.experiment.cost import Cost
from bfc.launch.job import PlannedJob
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.looks import MAX_LOOKS

FIRST_RUN_CHANCE = 0.75
"""That the first look decides a claim for which what was not run is run: so it did with 27 of 35
claims of the three papers in half an hour on an AMD EPYC."""
SMALLEST_CHANCE = 0.05
"""Below this chance of a decision nothing is run for a claim."""


def make_first_look(study: StudyState, model: Cost) -> Move:
    """What is missing of the jobs that claims read of the smallest size; none where nothing is."""
    smallest = study.jobs.of_size(study.jobs.sizes[0])
    jobs = select_read((claim.claim for claim in study.claims), smallest)
    missing = [job for job in jobs if not is_finished(job)]
    return _make_move(study, MoveKind.FIRST_LOOK, missing, model, study.claims)


def list_moves(
    study: StudyState,
    model: Cost,
    elsewhere: Iterable[ClaimState] = (),
    look_seconds: float = 0.0,
) -> list[Move]:
    """The moves of a study that are likely enough to decide the claim they are made for.

    Those of one claim and kind are in the order in which a look at it is best spent. Nothing is run
    for claims that are decided or have had their last look, and no cell a second time whose job
    failed. ``elsewhere``: claims of other studies, which more seeds of a shared cell may decide.
    ``look_seconds``: what a look is worth (:func:`rank_extensions`).
    """
    sharing = [*study.claims, *elsewhere]
    moves = list(_list_first_runs(study, model))
    for claim in study.claims:
        if claim.is_open and claim.verdict is not Verdict.NOT_RUN:
            moves += _list_extensions(study, claim, sharing, look_seconds)
            moves += _list_further_d(study, claim, model)
    return [
        move
        for move in moves
        if move.chances[0][1] >= SMALLEST_CHANCE and move.cells.isdisjoint(study.failed_cells)
    ]


def _list_extensions(
    study: StudyState, claim: ClaimState, sharing: Sequence[ClaimState], look_seconds: float
) -> Iterator[Move]:
    """More seeds in the open cells of a claim, what is most worth its look first."""
    jobs: dict[str, PlannedJob] = {}
    for cell in sorted(claim.prospect.cells):
        job = study.jobs.find_job(cell) if cell in study.stock else None
        if job is None:
            return
        jobs[cell] = job
    if jobs:
        for extension in rank_extensions(
            claim.prospect, study.stock, MAX_LOOKS - claim.looks, look_seconds
        ):
            yield _extend(study, claim, jobs, extension, sharing)


def _extend(
    study: StudyState,
    claim: ClaimState,
    jobs: Mapping[str, PlannedJob],
    extension: Extension,
    sharing: Sequence[ClaimState],
) -> Move:
    """The move that gives cells more seeds, with its chance for all claims they concern."""
    requests: list[JobRequest] = []
    for cell, num_seeds in extension.seeds.items():
        stock = study.stock[cell]
        seconds = (num_seeds - stock.seeds) * stock.seconds_per_seed
        requests.append(JobRequest(jobs[cell], seconds, num_seeds))
    chances = [(claim, extension.chance)]
    for other in sharing:
        concerned = not other.prospect.cells.isdisjoint(extension.seeds)
        if other is not claim and other.is_open and concerned:
            growths = estimate_growths(other.prospect, study.stock, extension.seeds)
            chance = other.prospect.estimate_chance(growths)
            if chance >= SMALLEST_CHANCE:
                chances.append((other, chance))
    return Move(
        study, MoveKind.MORE_SEEDS, tuple(requests), tuple(chances), extension.later_seconds
    )


def _list_first_runs(study: StudyState, model: Cost) -> Iterator[Move]:
    """What was not run, claim by claim; a move counts for all claims that need no more than it."""
    waiting = [
        claim for claim in study.claims if claim.is_open and claim.verdict is Verdict.NOT_RUN
    ]
    missing: dict[ClaimState, list[PlannedJob]] = {}
    for claim in waiting:
        if jobs := _find_missing(study, claim):
            missing[claim] = jobs
    cells = {claim: _list_cell_ids(jobs) for claim, jobs in missing.items()}
    for claim, jobs in missing.items():
        others = [other for other in missing if cells[other] <= cells[claim] and other is not claim]
        claims = [claim, *others]
        yield _make_move(study, MoveKind.NOT_RUN, jobs, model, claims, FIRST_RUN_CHANCE)


def _find_missing(study: StudyState, claim: ClaimState) -> list[PlannedJob]:
    """What is missing of the smallest size that has all that a claim requires."""
    for size in study.jobs.sizes:
        for jobs in _list_selections(claim, study.jobs.of_size(size)):
            selected = [_ensure_seeds(job, claim) for job in jobs]
            missing = [job for job in selected if not is_finished(job)]
            if missing:
                return missing
    return []


def _list_cell_ids(jobs: Sequence[PlannedJob]) -> set[str]:
    cells = chain.from_iterable(job.cells for job in jobs)
    return {spec.cell_id for spec in cells}


def _list_selections(
    claim: ClaimState, jobs: Sequence[PlannedJob]
) -> Iterator[Sequence[PlannedJob]]:
    """What could be run of a size, smallest first.

    Before the fewest jobs that measure what the claim requires, those of them at the places where
    one has been measured: a claim about two methods at every d where both were is judged there.
    """
    selections = list_selections(claim.claim, jobs)
    if selections:
        begun = {_find_place(job) for job in selections[0] if is_finished(job)}
        there = [job for job in selections[0] if _find_place(job) in begun]
        if select_required(claim.claim, there) is not None:
            yield there
    yield from selections


def _find_place(job: PlannedJob) -> tuple[int, int]:
    config = job.cells[0].config
    return int(config["d"]), int(config["L"])


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
    prospect = claim.prospect
    if spread == 0 or any(math.isnan(part.distance) for part in prospect.parts):
        return UNKNOWN_CHANCE
    return prospect.estimate_chance_of_range(larger / spread)


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
