"""A budget being spent, with a clock and a pool that are made up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest
from claim_scenes import (
    SEEDS,
    SceneCost,
    SceneFeed,
    leave_open,
    make_claim,
    make_study,
    store_cells,
)

from analysis.prospects import Stock
from bfc.application import spending
from bfc.application.budget_display import LINE_SECONDS, BudgetStatus, LineDisplay
from bfc.application.claim_states import ClaimState, StudyState
from bfc.application.moves import Move, MoveKind
from bfc.application.possible_moves import list_moves
from bfc.application.spending import MARGIN, Spender
from bfc.errors import UserError
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.looks import MAX_LOOKS

SIZES = {"demo": {"a": [8], "b": [8]}, "30m": {"a": [8], "b": [8], "c": [8]}}
Outcome = Callable[[ClaimState, StudyState], None]
"""What a look finds."""


class Scene:
    """One budget in a made-up world: what looks find, how long cells take, what is stored."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        studies: Sequence[StudyState],
        outcome: Outcome,
        stored: Collection[str] = (),
        budget: float = 1000.0,
        cost: float = 10.0,
        **options: Any,
    ) -> None:
        self.stored = set(stored)
        store_cells(monkeypatch, self.stored)
        self.feed = SceneFeed()
        self.feed.on_finish = self._store
        self.outcome = outcome
        self.looked: list[ClaimState] = []
        self.lines: list[str] = []
        display = LineDisplay(self.lines.append, lambda: self.feed.now)
        self.model: Any = SceneCost(cost)
        """By which the jobs that have not ended are predicted from the next fit on."""
        self.spender = Spender(
            studies,
            self.feed,
            self._look,
            lambda: self.model,
            display,
            clock=lambda: self.feed.now,
            deadline=budget,
            **options,
        )

    def spend(self) -> list[MoveKind]:
        """The kinds of the moves that were begun."""
        self.spender.spend()
        return [move.kind for move in self.feed.submitted]

    def _store(self, move: Move) -> None:
        self.stored |= move.cells
        for request in move.requests:
            (spec,) = request.job.cells
            seeds = request.num_seeds or SEEDS
            move.study.stock[spec.cell_id] = Stock(seeds, 1.0)

    def _look(self, study: StudyState, claims: Collection[ClaimState]) -> None:
        for claim in claims:
            if not claim.is_decided:
                self.looked.append(claim)
                self.outcome(claim, study)


def decide(claim: ClaimState, study: StudyState) -> None:
    claim.verdict = Verdict.REPRODUCED
    claim.looks += 1


def decide_at(seeds: int) -> Outcome:
    """Undecided until the cell of ``a`` has so many seeds."""

    def look(claim: ClaimState, study: StudyState) -> None:
        stored = study.stock["a-8"].seeds
        if stored >= seeds:
            decide(claim, study)
        else:
            leave_open(claim, 1.0, "a-8", seeds=stored)

    return look


def test_first_looks_come_first_and_the_end_comes_when_all_is_decided(monkeypatch) -> None:
    claim = make_claim("a")
    scene = Scene(monkeypatch, [make_study(SIZES, claim)], decide_at(30))
    kinds = scene.spend()
    assert kinds[0] is MoveKind.FIRST_LOOK and set(kinds[1:]) == {MoveKind.MORE_SEEDS}
    assert claim.is_decided and scene.feed.was_stopped
    assert scene.feed.now < 1000, "nothing is run for claims that are decided"
    assert scene.spender.make_status().decided == 1


@pytest.mark.parametrize("budget", [20.0, 1000.0])
def test_a_study_with_a_headline_has_its_first_look_before_cheaper_ones(
    monkeypatch, budget: float
) -> None:
    """Also where the budget does not suffice for all; among the others the cheapest is first."""
    costly = make_study({"demo": {"a": [8], "b": [8]}}, make_claim("a"))
    cheap = make_study({"demo": {"a": [8]}}, make_claim("a"))
    headline = make_study(
        {"demo": {"a": [8], "b": [8], "c": [8]}}, make_claim("a"), make_claim("b", headline=True)
    )
    scene = Scene(monkeypatch, [cheap, costly, headline], decide, budget=budget)
    scene.spend()
    began = [move.study for move in scene.feed.submitted]
    assert began == [headline, cheap, costly][: len(began)]
    assert len(began) == (1 if budget < 1000.0 else 3)
    assert scene.spender.list_left_out() == [cheap, costly][len(began) - 1 :]


@pytest.mark.parametrize("has_headline", [True, False])
def test_studies_are_composed_while_those_with_a_headline_run(
    monkeypatch, has_headline: bool
) -> None:
    """The others begin once all are composed, and the cheapest of them first."""
    costly = make_study({"demo": {"a": [8], "b": [8]}}, make_claim("a", "b"))
    cheap = make_study({"demo": {"a": [8]}}, make_claim("a"))
    first = make_study({"demo": {"c": [8]}}, make_claim("c", headline=has_headline))
    scene = Scene(monkeypatch, [costly, first, cheap], decide)
    composed, composed_at_submit = set(), []
    make, submit = spending.make_first_look, scene.feed.submit

    def make_and_note(study: StudyState, model: Any) -> Move:
        composed.add(id(study))
        return make(study, model)

    def submit_and_note(move: Move) -> None:
        composed_at_submit.append(len(composed))
        submit(move)

    monkeypatch.setattr(spending, "make_first_look", make_and_note)
    monkeypatch.setattr(scene.feed, "submit", submit_and_note)
    scene.spend()
    assert composed_at_submit == [1 if has_headline else 3, 3, 3]
    assert [move.study for move in scene.feed.submitted] == [first, cheap, costly]


def test_a_study_that_cannot_be_composed_is_named_and_the_others_run(monkeypatch) -> None:
    broken, healthy = (make_study({"demo": {"a": [8]}}, make_claim("a")) for _ in range(2))

    def refuse(size: str) -> list[Any]:
        raise UserError("target.d=0: must be positive")

    monkeypatch.setattr(broken.jobs, "of_size", refuse)
    scene = Scene(monkeypatch, [broken, healthy], decide)
    scene.spend()
    assert broken.has_failed and "scene: target.d=0: must be positive" in scene.lines
    assert healthy.claims[0].is_decided and not healthy.has_failed


def test_first_looks_are_predicted_again_by_what_jobs_took(monkeypatch) -> None:
    """The first ended jobs show that all takes ten times as long, so that not all studies fit."""
    studies = [make_study({"demo": {f"a{i}": [8]}}, make_claim(f"a{i}")) for i in range(8)]
    scene = Scene(monkeypatch, studies, decide, budget=200.0)
    first = scene.spender.make_status().seconds_left
    scene.model = SceneCost(100.0)
    scene.spend()
    seconds = [move.seconds for move in scene.feed.submitted]
    assert first == 200.0 and seconds == [10.0] * 3 + [100.0]
    assert len(scene.spender.list_left_out()) == 4
    assert scene.feed.models == [scene.model] * 3, "after 1, 2 and 4 jobs"


def test_seconds_of_more_seeds_are_those_that_were_measured(monkeypatch) -> None:
    study = make_study(SIZES, make_claim("a"))
    leave_open(study.claims[0], 2.0, "a-8")
    model: Any = SceneCost(77.0)
    store_cells(monkeypatch, {"a-8", "b-8"})
    moves = list_moves(study, model)
    model = SceneCost(1e6)
    assert moves and all(move.predict_again(model).seconds == move.seconds for move in moves)


def test_no_claim_is_looked_at_more_often_than_allowed(monkeypatch) -> None:
    claim = make_claim("a")
    scene = Scene(monkeypatch, [make_study(SIZES, claim)], decide_at(10**9), budget=1e9)
    scene.spend()
    assert claim.looks == len(scene.looked) == MAX_LOOKS
    status = scene.spender.make_status()
    assert (status.decided, status.undecided, status.stuck) == (0, 0, 1)


def test_claims_that_nothing_was_run_for_are_not_looked_at(monkeypatch) -> None:
    """A look is scarce: only the claims that a move may decide are looked at after it."""
    first, second = make_claim("a"), make_claim("b")

    def look(claim: ClaimState, study: StudyState) -> None:
        if claim is first:
            decide_at(20)(claim, study)
        else:
            leave_open(claim, 0.0, "b-8")
            study.stock["b-8"] = Stock(SEEDS, 1e6)

    scene = Scene(monkeypatch, [make_study(SIZES, first, second)], look)
    scene.spend()
    assert first.is_decided and scene.looked.count(second) == 1


@pytest.mark.parametrize("budget", [15.0, 40.0, 100.0, 400.0])
def test_the_budget_is_kept(monkeypatch, budget: float) -> None:
    claims = [make_claim("a"), make_claim("b")]
    scene = Scene(monkeypatch, [make_study(SIZES, *claims)], decide_at(10**9), budget=budget)
    scene.spend()
    assert scene.feed.now <= budget
    busy = sum(move.predict_wall_seconds(2) for move in scene.feed.submitted)
    assert busy <= MARGIN * budget


def test_cells_that_the_end_cuts_short_are_named(monkeypatch) -> None:
    """The first look needs all of the time, and only a cell of the other study is stored."""
    studies = [make_study({"demo": {name: [8]}}, make_claim(name)) for name in "ab"]
    scene = Scene(monkeypatch, studies, decide, budget=40.0, stored={"b-8"}, cost=30.0)
    monkeypatch.setattr(scene.feed, "wait", lambda seconds: setattr(scene.feed, "now", 40.0))
    scene.spend()
    assert scene.spender.unfinished_cells == {"a-8"}
    done = Scene(monkeypatch, studies, decide)
    done.spend()
    assert done.spender.unfinished_cells == frozenset()


def test_the_time_for_the_page_is_kept(monkeypatch) -> None:
    study = make_study(SIZES, make_claim("a"))
    scene = Scene(monkeypatch, [study], decide_at(10**9), budget=400.0, page_seconds=300.0)
    scene.spend()
    assert scene.feed.now <= 100.0 and scene.feed.submitted


@pytest.mark.parametrize(("slowdown", "spent"), [(1.0, 350.0), (1.5, 350.0), (6.0, 200.0)])
def test_more_time_is_kept_for_the_page_where_other_programs_run(
    monkeypatch, slowdown: float, spent: float
) -> None:
    """Of 400 seconds 50 are kept, and four times as much where looks take six times their CPU time:
    half as long again, on two cores, is due to the workers themselves."""
    cpu = [0.0]

    def look(claim: ClaimState, study: StudyState) -> None:
        cpu[0] += 1.0 / slowdown
        scene.feed.now += 1.0
        decide(claim, study)

    study = make_study({"demo": {"a": [8]}}, make_claim("a"))
    scene = Scene(
        monkeypatch, [study], look, budget=400.0, page_seconds=50.0, cpu_clock=lambda: cpu[0]
    )
    scene.spend()
    left = scene.spender.seconds_left + scene.feed.now
    assert left == pytest.approx(spent)


def test_what_does_not_fit_is_named(monkeypatch) -> None:
    study = make_study(SIZES, make_claim("a"))
    scene = Scene(monkeypatch, [study], decide, cost=1e6)
    assert scene.spend() == []
    assert scene.spender.list_left_out() == [study] and scene.spender.make_status().unseen == 1


def test_a_second_call_goes_on_where_the_first_one_stopped(monkeypatch) -> None:
    """The first budget ends after the first look; the second repeats nothing of it."""
    claim = make_claim("a")
    study = make_study(SIZES, claim)
    first = Scene(monkeypatch, [study], decide_at(30), budget=15.0)
    assert first.spend() == [MoveKind.FIRST_LOOK]
    again = make_claim("a")
    second_study = make_study(SIZES, again)
    second = Scene(monkeypatch, [second_study], decide_at(30), stored=first.stored)
    assert set(second.spend()) == {MoveKind.MORE_SEEDS} and again.is_decided


def test_what_was_not_run_is_run(monkeypatch) -> None:
    claim = make_claim("c")

    def look(claim: ClaimState, study: StudyState) -> None:
        if "c-8" in scene.stored:
            decide(claim, study)
        else:
            claim.verdict = Verdict.NOT_RUN

    scene = Scene(monkeypatch, [make_study(SIZES, claim)], look, stored={"a-8", "b-8"})
    assert scene.spend() == [MoveKind.NOT_RUN] and claim.is_decided


def test_cores_have_work_waiting_for_them(monkeypatch) -> None:
    """Independent studies are begun side by side, not one after the other."""
    studies = [make_study({"demo": {f"a{i}": [8]}}, make_claim(f"a{i}")) for i in range(5)]
    scene = Scene(monkeypatch, studies, decide)
    lengths = []
    submit = scene.feed.submit

    def submit_and_count(move: Move) -> None:
        submit(move)
        lengths.append(len(scene.feed.list_moves()))

    monkeypatch.setattr(scene.feed, "submit", submit_and_count)
    scene.spend()
    assert len(scene.feed.submitted) == 5 and max(lengths) == 1 + scene.feed.cores


def test_an_interrupt_ends_it_at_once(monkeypatch) -> None:
    study = make_study(SIZES, make_claim("a"))
    scene = Scene(
        monkeypatch,
        [study],
        decide_at(10**9),
        budget=1e9,
        is_stopped=lambda: len(scene.feed.submitted) >= 2,
    )
    scene.spend()
    assert len(scene.feed.submitted) == 2 and scene.feed.was_stopped


def test_a_cell_that_fails_is_not_tried_again_and_does_not_stop_other_claims(monkeypatch) -> None:
    broken, healthy = make_claim("a"), make_claim("b")

    def look(claim: ClaimState, study: StudyState) -> None:
        cell = "a-8" if claim is broken else "b-8"
        if cell == "b-8" and study.stock[cell].seeds > SEEDS:
            decide(claim, study)
        else:
            leave_open(claim, 2.0, cell)

    study = make_study(SIZES, broken, healthy)
    scene = Scene(monkeypatch, [study], look)
    scene.feed.failing = {"a-8"}
    scene.spend()
    first, *later = scene.feed.submitted
    assert first.kind is MoveKind.FIRST_LOOK and "a-8" in first.cells
    assert later and all(move.cells == {"b-8"} for move in later)
    assert healthy.is_decided and not broken.is_decided
    assert study.has_failed and any("failed: broken" in line for line in scene.lines)


def test_no_cell_is_measured_by_two_studies_at_once(monkeypatch) -> None:
    """Two studies share a cell; their first looks run one after the other."""
    studies = [make_study({"demo": {"a": [8]}}, make_claim("a")) for _ in range(2)]
    scene = Scene(monkeypatch, studies, decide)
    overlaps = []
    submit = scene.feed.submit

    def submit_and_note(move: Move) -> None:
        overlaps.append(any(move.cells & other.cells for other in scene.feed.list_moves()))
        submit(move)

    monkeypatch.setattr(scene.feed, "submit", submit_and_note)
    scene.spend()
    assert overlaps == [False, False] and all(study.claims[0].is_decided for study in studies)


def test_a_study_without_a_result_is_said_to_have_none(monkeypatch) -> None:
    def look(claim: ClaimState, study: StudyState) -> None:
        raise UserError("holds no measured cell")

    study = make_study(SIZES, make_claim("a"))
    scene = Scene(monkeypatch, [study], look)
    scene.spend()
    assert study.has_failed and any("no measured cell" in line for line in scene.lines)


def test_lines_say_what_happens_and_how_things_stand(monkeypatch) -> None:
    scene = Scene(monkeypatch, [make_study(SIZES, make_claim("a", "b"))], decide_at(30))
    scene.spend()
    text = "\n".join(scene.lines)
    assert "scene, first look: 2 jobs, about 10 s, for 1 claim" in text
    assert "scene, more seeds" in text and "scene: reproduced: " in text
    assert "0 decided, 0 undecided, 0 cannot be decided now, 1 not looked at yet; runs: " in text


def test_the_status_is_written_now_and_then_and_only_where_it_changes() -> None:
    lines: list[str] = []
    now = [0.0]
    display = LineDisplay(lines.append, lambda: now[0])
    for time, decided in ((0.0, 0), (1.0, 1), (LINE_SECONDS, 1), (3 * LINE_SECONDS, 1)):
        now[0] = time
        display.show(BudgetStatus(decided, 2, 1, 0, ("x, more seeds",), 90.0))
    assert lines == [
        "0 decided, 2 undecided, 1 cannot be decided now; runs: x, more seeds; 2 min left",
        "1 decided, 2 undecided, 1 cannot be decided now; runs: x, more seeds; 2 min left",
    ]
