"""What could be run for open claims, and which of it is chosen."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from claim_scenes import SEEDS, SceneCost, leave_open, make_claim, make_study, store_cells

from analysis.prospects import (
    FIRST_INTERVAL_SEEDS,
    OpenPart,
    Prospect,
    Stock,
)
from bfc.application.claim_states import StudyState
from bfc.application.moves import HEADLINE_WEIGHT, Move, MoveKind, choose_move
from bfc.application.possible_moves import FIRST_RUN_CHANCE, list_moves, make_first_look
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.looks import (
    GROWTHS,
    LARGEST_GROWTH,
    MAX_LOOKS,
    ONE_SIDED_CRITICAL_VALUE,
    REPEATED_LEVEL,
    estimate_decision_chance,
)

MODEL: Any = SceneCost(10.0)
SIZES = {"demo": {"a": [8], "b": [8]}, "30m": {"a": [8, 16], "b": [8], "c": [8]}}
STORED = {"a-8", "b-8"}
FOUR_ERRORS = 1.0 - 6.3e-5
"""The level of an interval that reaches 4 standard errors to either side."""


@pytest.fixture(autouse=True)
def stored(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    cells = set(STORED)
    store_cells(monkeypatch, cells)
    return cells


def choose(study: StudyState, seconds: float = 1e6) -> Move | None:
    return choose_move(list_moves(study, MODEL), cores=2, seconds_left=seconds)


def test_the_first_look_runs_what_is_missing_of_the_smallest_size(stored) -> None:
    study = make_study(SIZES, make_claim("a", "b"))
    assert make_first_look(study, MODEL).requests == ()
    stored.remove("b-8")
    move = make_first_look(study, MODEL)
    assert move.cells == {"b-8"} and move.claims == list(study.claims)


def test_the_first_look_runs_nothing_that_no_claim_reads(stored) -> None:
    """Where a claim names no method, any training will do, so all of the size is run."""
    stored.clear()
    sizes = {"demo": {"a": [8, 16], "b": [8], "c": [8]}}
    study = make_study(sizes, make_claim("a", at={"d": 8}), make_claim("b", "missing"))
    assert make_first_look(study, MODEL).cells == {"a-8", "b-8"}
    certified = make_study(sizes, make_claim())
    assert make_first_look(certified, MODEL).cells == {"a-8", "a-16", "b-8", "c-8"}


def test_an_undecided_claim_is_given_more_seeds_of_its_open_cells() -> None:
    claim = make_claim("a", "b")
    leave_open(claim, 2.0, "a-8")
    move = choose(make_study(SIZES, claim))
    assert move is not None and move.kind is MoveKind.MORE_SEEDS and move.cells == {"a-8"}
    (request,) = move.requests
    assert request.num_seeds is not None
    growth = request.num_seeds / SEEDS
    assert growth in GROWTHS and request.seconds == request.num_seeds - SEEDS
    chance = float(estimate_decision_chance(2.0, growth))
    assert move.value == pytest.approx(chance / request.seconds)


@pytest.mark.parametrize("verdict", [Verdict.REPRODUCED, Verdict.CONTRADICTED, None])
def test_nothing_is_spent_on_claims_that_are_decided_or_unseen(verdict: Verdict | None) -> None:
    claim = make_claim("a")
    leave_open(claim, 2.0, "a-8")
    claim.verdict = verdict
    assert list_moves(make_study(SIZES, claim), MODEL) == []


def test_nothing_is_spent_after_the_last_look() -> None:
    claim = make_claim("a")
    leave_open(claim, 2.0, "a-8")
    claim.looks = MAX_LOOKS - 1
    assert choose(make_study(SIZES, claim)) is not None
    claim.looks = MAX_LOOKS
    assert choose(make_study(SIZES, claim)) is None


def test_nothing_is_spent_where_a_decision_is_too_unlikely() -> None:
    """On the threshold four times the data decide with a chance of 2 Φ(−2.7/√3) = .12, and where
    it takes 4 standard errors of .02."""
    claim = make_claim("a", "b")
    leave_open(claim, 0.0, "a-8")
    study = make_study(SIZES, claim)
    assert choose(study) is not None
    claim.prospect = type(claim.prospect)(claim.prospect.parts * 2, SEEDS, quantifier="every")
    assert choose(study) is not None, "one of two places that is refuted decides"
    claim.prospect = type(claim.prospect)(claim.prospect.parts, SEEDS, FOUR_ERRORS, FOUR_ERRORS)
    claim.looks = MAX_LOOKS - 1
    assert choose(study) is None


def test_a_decision_that_takes_two_looks_is_worth_the_first() -> None:
    """On the threshold, where it takes 4 standard errors, 16 times the data decide with .30; the
    move is the first look towards them, and is worth what both bring for what both cost."""
    claim = make_claim("a")
    leave_open(claim, 0.0, "a-8")
    claim.prospect = type(claim.prospect)(claim.prospect.parts, SEEDS, FOUR_ERRORS, FOUR_ERRORS)
    study = make_study(SIZES, claim)
    move = choose(study)
    assert move is not None
    (request,) = move.requests
    assert request.num_seeds == LARGEST_GROWTH * SEEDS
    assert move.later_seconds == (16 - LARGEST_GROWTH) * SEEDS
    chance = float(estimate_decision_chance(0.0, 16.0, 4.0))
    assert move.value == pytest.approx(chance / (15 * SEEDS), rel=1e-3)
    seconds = move.predict_wall_seconds(2)
    assert not move.fits(2, seconds, ()) and move.fits(2, seconds + move.later_seconds / 2, ())


def test_a_cell_that_has_enough_seeds_stays_as_it_is() -> None:
    """192 seeds beside 8: what more seeds of the one lower is the larger share of the error."""
    claim = make_claim("a", "b")
    leave_open(claim, 2.4, "a-8", "b-8")
    study = make_study(SIZES, claim)
    study.stock["a-8"] = Stock(192, 1.0)
    move = choose(study)
    assert move is not None and move.cells == {"b-8"}
    errors = [1 / 192 + 1 / seeds for seeds in (SEEDS, move.requests[0].num_seeds)]
    chance = float(estimate_decision_chance(2.4, errors[0] / errors[1]))
    assert move.chances[0][1] == pytest.approx(chance)


def test_the_cell_with_fewer_seeds_may_grow_alone() -> None:
    """Twice the seeds of it and not of the dear one: 1.5 times the data for a hundredth."""
    claim = make_claim("a", "b")
    leave_open(claim, 2.4, "a-8", "b-8")
    study = make_study(SIZES, claim)
    study.stock["a-8"] = Stock(2 * SEEDS, 100.0)
    move = choose(study)
    assert move is not None and move.cells == {"b-8"}
    study.stock["b-8"] = Stock(SEEDS, 1e4)
    move = choose(study)
    assert move is not None and move.cells == {"a-8", "b-8"}


@pytest.mark.parametrize("seconds", [0.01, 1.0, 100.0])
def test_values_of_a_seed_of_both_take_no_seeds_that_one_has_alone(seconds: float) -> None:
    """24 and 96 seeds are 24 ratios, seed by seed: 72 ratios take no further seed of the other."""
    claim = make_claim("a", "b")
    claim.verdict, claim.looks = Verdict.UNDECIDED, 1
    part = OpenPart(frozenset({"a-8", "b-8"}), 1.5, 0.0, is_paired=True)
    claim.prospect = Prospect((part,), 24)
    study = make_study(SIZES, claim)
    study.stock |= {"a-8": Stock(96, seconds), "b-8": Stock(24, 1.0)}
    moves = [move for move in list_moves(study, MODEL) if move.kind is MoveKind.MORE_SEEDS]
    assert moves
    for move in moves:
        (request,) = move.requests
        assert move.cells == {"b-8"} and 24 < request.num_seeds <= 96
        if not move.later_seconds:
            chance = float(estimate_decision_chance(1.5, request.num_seeds / 24))
            assert move.chances[0][1] == pytest.approx(chance)


def test_where_seeds_are_cheap_looks_are_not_spent_on_few() -> None:
    claim = make_claim("a")
    leave_open(claim, 1.6, "a-8")
    study = make_study(SIZES, claim)
    growths = [
        list_moves(study, MODEL, look_seconds=seconds)[0].requests[0].num_seeds / SEEDS
        for seconds in (0.0, 1e6)
    ]
    assert growths[0] < growths[1] == LARGEST_GROWTH


def test_a_claim_without_an_interval_is_given_the_seeds_of_one() -> None:
    claim = make_claim("a")
    leave_open(claim, math.nan, "a-8", seeds=4)
    study = make_study(SIZES, claim)
    study.stock["a-8"] = type(study.stock["a-8"])(4, 1.0)
    move = choose(study)
    assert move is not None and move.requests[0].num_seeds == FIRST_INTERVAL_SEEDS


def test_cells_that_several_claims_share_count_for_all_of_them() -> None:
    """Alone the cheap cell is worth more; the dear one decides three claims."""
    claims = [make_claim("a", i=i) for i in range(3)]
    for claim in claims:
        leave_open(claim, 2.0, "a-8")
    lone = make_claim("b")
    leave_open(lone, 2.0, "b-8")
    study = make_study(SIZES, claims[0], lone)
    study.stock["a-8"] = type(study.stock["a-8"])(SEEDS, 2.0)
    move = choose(study)
    assert move is not None and move.cells == {"b-8"}
    study.claims = [*claims, lone]
    move = choose(study)
    assert move is not None and move.cells == {"a-8"} and set(move.claims) == set(claims)


def test_the_nearer_claim_and_the_cheaper_cell_come_first() -> None:
    near, far = make_claim("a"), make_claim("b")
    leave_open(near, 2.5, "a-8")
    leave_open(far, 0.8, "b-8")
    study = make_study(SIZES, near, far)
    move = choose(study)
    assert move is not None and move.claims == [near]
    study.stock["a-8"] = type(study.stock["a-8"])(SEEDS, 1000.0)
    move = choose(study)
    assert move is not None and move.claims == [far]


def test_a_claim_that_was_not_run_is_given_the_smallest_size_that_has_its_cells() -> None:
    claim, other = make_claim("a", "c"), make_claim("c")
    claim.verdict = other.verdict = Verdict.NOT_RUN
    move = choose(make_study(SIZES, claim, other))
    assert move is not None and move.kind is MoveKind.NOT_RUN
    assert move.cells == {"c-8"} and set(move.claims) == {claim, other}
    assert move.value == pytest.approx(2 * FIRST_RUN_CHANCE / 10.0)


def test_where_what_a_claim_requires_does_not_suffice_all_that_it_reads_is_run(stored) -> None:
    """A claim that compares several d and requires the largest."""
    claim = make_claim("a", requires={"d": 16})
    claim.verdict = Verdict.NOT_RUN
    study = make_study({"demo": {"b": [8]}, "30m": {"a": [4, 8, 16]}}, claim)
    stored.remove("a-8")
    move = choose(study)
    assert move is not None and move.cells == {"a-16"}
    stored.add("a-16")
    move = choose(study)
    assert move is not None and move.cells == {"a-4", "a-8"}


def test_two_methods_are_compared_where_one_of_them_was_measured(stored) -> None:
    """Only once that does not suffice, at every d of the size."""
    claim = make_claim("a", "b")
    claim.verdict = Verdict.NOT_RUN
    study = make_study({"demo": {"a": [8, 16]}, "30m": {"a": [8, 16, 32], "b": [8, 16, 32]}}, claim)
    study.jobs.sizes = ("30m",)
    stored.clear()
    stored.update({"a-8", "a-16"})
    move = choose(study)
    assert move is not None and move.cells == {"b-8", "b-16"}
    stored.update(move.cells)
    move = choose(study)
    assert move is not None and move.cells == {"a-32", "b-32"}
    claim.claim["requires"] = {"d": 32}
    stored.clear()
    stored.add("a-8")
    move = choose(study)
    assert move is not None and move.cells == {"a-32", "b-32"}


def test_what_was_not_run_counts_for_the_claims_that_need_no_more() -> None:
    """Cells of c decide the first claim; the second one needs those of a method d, too."""
    first, second = make_claim("a", "c"), make_claim("c", "d")
    first.verdict = second.verdict = Verdict.NOT_RUN
    study = make_study({"demo": {"a": [8]}, "30m": {"c": [8], "d": [8], "a": [8]}}, first, second)
    claims = {move.cells: move.claims for move in list_moves(study, MODEL)}
    assert claims == {frozenset({"c-8"}): [first], frozenset({"c-8", "d-8"}): [second, first]}


def test_what_a_claim_requires_is_run() -> None:
    claim = make_claim("a", requires={"d": 16})
    claim.verdict = Verdict.NOT_RUN
    move = choose(make_study(SIZES, claim))
    assert move is not None and move.cells == {"a-16"}
    impossible = make_claim("a", requires={"d": 32})
    impossible.verdict = Verdict.NOT_RUN
    assert choose(make_study(SIZES, impossible)) is None


def test_a_slope_is_given_further_d_where_seeds_do_not_help() -> None:
    claim = make_claim("a", predicate="exponent")
    leave_open(claim, 2.0, "a-8", "a-4")
    claim.dimensions = frozenset({4, 8})
    sizes = {"demo": {"a": [4, 8]}, "30m": {"a": [4, 8, 16]}}
    study = make_study(sizes, claim)
    kinds = {move.kind for move in list_moves(study, MODEL)}
    assert kinds == {MoveKind.MORE_SEEDS, MoveKind.FURTHER_D}
    part = claim.prospect.parts[0]
    fixed = type(part)(part.cells, part.distance, 0.99)
    claim.prospect = type(claim.prospect)((fixed,), SEEDS)
    move = choose(study)
    assert move is not None and move.kind is MoveKind.FURTHER_D and move.cells == {"a-16"}
    claim.claim = {**claim.claim, "predicate": "median_value"}
    assert all(move.kind is not MoveKind.FURTHER_D for move in list_moves(study, MODEL))


def test_the_chance_of_further_d_is_that_of_the_bound_that_judges() -> None:
    claim = make_claim("a", predicate="exponent")
    leave_open(claim, 2.0, "a-8", "a-4")
    level = 2.0 * REPEATED_LEVEL - 1.0
    claim.prospect = replace(claim.prospect, shown_level=level, refuted_level=level)
    claim.dimensions = frozenset({4, 16})
    study = make_study({"demo": {"a": [4, 8]}, "30m": {"a": [4, 8, 64]}}, claim)
    (move,) = [move for move in list_moves(study, MODEL) if move.kind is MoveKind.FURTHER_D]
    assert move.cells == {"a-64"}
    growth = 4.0  # log d of 4, 16, 64 are equally far apart: sums of squares 2 x² / (x² / 2)
    expected = estimate_decision_chance(2.0, growth, ONE_SIDED_CRITICAL_VALUE)
    assert move.chances == ((claim, pytest.approx(float(expected))),)


def test_what_does_not_fit_is_replaced_by_a_smaller_growth() -> None:
    claim = make_claim("a")
    leave_open(claim, 0.5, "a-8")
    study = make_study(SIZES, claim)
    numbers = []
    for seconds in (1e6, SEEDS * 2.5, SEEDS * 0.4):
        move = choose(study, seconds)
        numbers.append(None if move is None else move.requests[0].num_seeds)
    assert numbers[0] == SEEDS * max(GROWTHS)
    assert numbers[1] is not None and numbers[1] < numbers[0] and numbers[2] is None


def test_cells_and_claims_in_flight_are_left_alone() -> None:
    claim, other = make_claim("a"), make_claim("b")
    for state, cell in ((claim, "a-8"), (other, "b-8")):
        leave_open(state, 2.0, cell)
    study = make_study(SIZES, claim, other)
    claim.is_in_flight = True
    move = choose(study)
    assert move is not None and move.claims == [other]
    moves = list_moves(study, MODEL)
    assert choose_move(moves, 2, 1e6, cells_in_flight={"b-8"}) is None


def test_cells_whose_job_failed_are_left_alone_and_others_are_not() -> None:
    claims = [make_claim("a"), make_claim("b")]
    for claim, cell in zip(claims, ("a-8", "b-8"), strict=True):
        leave_open(claim, 2.0, cell)
    study = make_study(SIZES, *claims)
    study.failed_cells, study.has_failed = {"a-8"}, True
    assert {cell for move in list_moves(study, MODEL) for cell in move.cells} == {"b-8"}


def test_a_headline_is_worth_more_than_another_claim() -> None:
    """Its cell costs twice as much, and with four times as much the other one comes first."""
    headline, other = make_claim("a", headline=True), make_claim("b")
    leave_open(headline, 2.0, "a-8")
    leave_open(other, 2.0, "b-8")
    study = make_study(SIZES, headline, other)
    for seconds, first in ((0.5 * HEADLINE_WEIGHT, headline), (2.0 * HEADLINE_WEIGHT, other)):
        study.stock["a-8"] = Stock(SEEDS, seconds)
        move = choose(study)
        assert move is not None and move.claims == [first]


def test_cells_that_two_studies_share_count_for_the_claims_of_both() -> None:
    claim, elsewhere, unrelated = make_claim("a"), make_claim("a", i=1), make_claim("b")
    for state, cell in ((claim, "a-8"), (elsewhere, "a-8"), (unrelated, "b-8")):
        leave_open(state, 2.0, cell)
    study = make_study(SIZES, claim)
    moves = list_moves(study, MODEL, [elsewhere, unrelated])
    assert moves and all(move.claims == [claim, elsewhere] for move in moves)


def test_one_place_that_seems_to_refute_a_claim_is_worth_a_move_of_its_own() -> None:
    """The place that refutes it costs a hundredth of the others, which satisfy the claim."""
    claim = make_claim("a", "b")
    claim.verdict, claim.looks = Verdict.UNDECIDED, 1
    parts = (OpenPart(frozenset({"a-8"}), -2.2, 0.0), OpenPart(frozenset({"b-8"}), 1.0, 0.0))
    claim.prospect = Prospect(parts, SEEDS)
    study = make_study(SIZES, claim)
    study.stock["b-8"] = Stock(SEEDS, 100.0)
    move = choose(study)
    assert move is not None and move.cells == {"a-8"}
    claim.prospect = replace(claim.prospect, quantifier="some")
    move = choose(study)
    assert move is not None and "b-8" in move.cells
