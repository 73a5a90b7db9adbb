"""Spends a budget: keeps all cores busy with the moves that decide most claims per second.

The first look of every study comes first: those of the studies with a headline before the others,
so that a budget which does not suffice for all leaves none of them out that fits, and among either
the cheapest first. While the former run, the jobs of the latter are composed. Then, whenever a core
has nothing waiting for it, the best move for the claims that are open is begun. When the jobs of a
move have ended, the claims that it was to decide are looked at. What has been done is read from the
store, so that a second call goes on where the first one stopped.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain

from bfc.application.budget_display import BudgetStatus, Display
from bfc.application.claim_states import ClaimState, StudyState
from bfc.application.job_feed import Feed, FinishedMove
from bfc.application.moves import Move, choose_move
from bfc.application.possible_moves import list_moves, make_first_look
from bfc.errors import UserError
from bfc.experiment.cost import Cost
from bfc.stats.looks import MAX_LOOKS

MARGIN = 0.85
"""Share of the remaining time that predictions may fill.

The rest is for confirming runs and for the scatter of costs."""
PAGE_TO_LOOKS = 1.5
"""Time for the page over that of one look at every study; it takes about as long as these."""
WAIT_SECONDS = 1.0
"""Between two looks at the clock, at most."""

LONGEST_SECONDS = 1e9
"""Taken for what is left of a budget without a limit."""

Assess = Callable[[StudyState, Collection[ClaimState]], None]
"""Looks at claims of a study in the store."""


class Spender:
    """One budget being spent.

    ``fit_model``: the cost model by what is stored now, by which all that has not ended is
    predicted again as jobs end. ``clock``: seconds that only grow, in which
    ``deadline`` is given. The page at the end takes about as long as looking at every study once
    and drawing it, so it is given ``page_seconds``, as much longer as the looks show other programs
    to slow this one down (``cpu_clock``: the seconds for which it had a core), or
    :data:`PAGE_TO_LOOKS` times as long as the looks took on their core where that is more.
    ``is_stopped``: whether somebody has asked for an end.
    """

    def __init__(
        self,
        studies: Sequence[StudyState],
        feed: Feed[Move],
        assess: Assess,
        fit_model: Callable[[], Cost],
        display: Display,
        clock: Callable[[], float],
        deadline: float,
        page_seconds: float = 0.0,
        cpu_clock: Callable[[], float] = time.process_time,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.studies, self.feed, self.display = studies, feed, display
        self.clock, self.deadline, self.is_stopped = clock, deadline, is_stopped
        self._page_seconds = page_seconds
        self._cpu_clock = cpu_clock
        self._look_seconds: dict[str, float] = {}
        """Study → how long the last look at it took."""
        self._look_cpu_seconds: dict[str, float] = {}
        """Study → for how much of it this process had a core."""
        self._assess, self._fit_model = assess, fit_model
        self._model = fit_model()
        self._next_fit = 1
        """Jobs that have ended when the model is fitted next."""
        self._unprepared = deque(sorted(studies, key=lambda study: not study.has_headline))
        """Studies whose jobs are not composed yet, those with a headline first."""
        self._first_looks: list[Move] = []
        self._pursued: dict[Move, list[ClaimState]] = {}
        """A move that runs → the claims that are looked at when it has ended."""
        self._unassessed: deque[tuple[StudyState, Sequence[ClaimState]]] = deque()
        self._moves: dict[str, list[Move]] = {}
        """Study → what could be run for its open claims."""
        self._cells_in_flight: set[str] = set()
        """Cells of any study that are being measured; studies may share cells."""
        self.unfinished_cells: frozenset[str] = frozenset()
        """Cells whose measurement the end has cut short, at which nobody has looked."""

    def spend(self) -> None:
        """Run moves until the time is over, nothing is left to run, or an end is asked for."""
        while self._unprepared and self._unprepared[0].has_headline:
            self._prepare(self._unprepared.popleft())
        while not self.is_stopped() and self.seconds_left > 0:
            self._settle_finished()
            self._predict_again()
            self._start_moves()
            if self._unprepared:
                self._prepare(self._unprepared.popleft())
            elif self._unassessed:
                self._look(*self._unassessed.popleft())
            elif not self.feed.list_moves():
                break
            else:
                self.feed.wait(min(WAIT_SECONDS, self.seconds_left))
            self.display.show(self.make_status())
        running = self.feed.list_moves()
        self.feed.stop()
        self.unfinished_cells = frozenset().union(
            *(move.list_unfinished_cells() for move in running)
        )

    @property
    def seconds_left(self) -> float:
        """What is left for training."""
        by_looks = PAGE_TO_LOOKS * sum(self._look_cpu_seconds.values())
        page_seconds = max(self._page_seconds, by_looks) * self._estimate_slowdown()
        return self.deadline - page_seconds - self.clock()

    def _estimate_slowdown(self) -> float:
        """How many times as long as on a free core the page takes, from the looks so far.

        The workers of this budget, which slow the looks down, have ended when it is written.
        """
        cpu_seconds = sum(self._look_cpu_seconds.values())
        if cpu_seconds <= 0.0:
            return 1.0
        by_workers = (self.feed.cores + 1) / self.feed.cores
        return max(1.0, sum(self._look_seconds.values()) / cpu_seconds / by_workers)

    def list_left_out(self) -> list[StudyState]:
        """The studies whose first look did not fit."""
        return [*(move.study for move in self._first_looks), *self._unprepared]

    def make_status(self) -> BudgetStatus:
        """Where the claims stand, and what runs."""
        claims = list(chain.from_iterable(study.claims for study in self.studies))
        decided = sum(claim.is_decided for claim in claims)
        unseen = sum(claim.verdict is None for claim in claims)
        moves = chain.from_iterable(self._moves.values())
        pursued = set(map(id, chain.from_iterable(move.claims for move in moves)))
        stuck = sum(
            claim.verdict is not None
            and not claim.is_decided
            and not claim.is_in_flight
            and id(claim) not in pursued
            for claim in claims
        )
        return BudgetStatus(
            decided=decided,
            undecided=len(claims) - decided - unseen - stuck,
            stuck=stuck,
            unseen=unseen,
            running=tuple(describe_move(move) for move in self.feed.list_moves()),
            seconds_left=self.seconds_left,
        )

    def _prepare(self, study: StudyState) -> None:
        """Compose a study, and find out whether it has had its first look."""
        try:
            move = make_first_look(study, self._model)
        except UserError as error:
            self.display.announce(f"{study.name}: {error}")
            study.has_failed = True
            return
        if move.requests:
            self._first_looks = _order_first_looks([*self._first_looks, move])
        else:
            self._unassessed.append((study, study.claims))

    def _predict_again(self) -> None:
        """Correct the predictions by what jobs took, whenever twice as many have ended."""
        num_ended = self.feed.count_ended()
        if num_ended < self._next_fit:
            return
        self._next_fit = 2 * num_ended
        self._model = self._fit_model()
        self.feed.predict_again(self._model)
        self._first_looks = _order_first_looks(
            move.predict_again(self._model) for move in self._first_looks
        )
        for study, moves in self._moves.items():
            self._moves[study] = [move.predict_again(self._model) for move in moves]

    def _start_moves(self) -> None:
        """Begin moves until every core has a job waiting for it, or nothing fits."""
        while self.feed.count_waiting() < self.feed.cores:
            move = self._choose()
            if move is None:
                return
            self.display.announce(f"{describe_move(move)}: {self._describe_size(move)}")
            self.feed.submit(move)
            self._cells_in_flight |= move.cells
            self._pursued[move] = move.claims
            for claim in self._pursued[move]:
                claim.is_in_flight = True

    def _choose(self) -> Move | None:
        cores = self.feed.cores
        seconds = MARGIN * self.seconds_left - self.feed.predict_seconds_left()
        for move in self._first_looks:
            if self._unprepared and not move.study.has_headline:
                return None  # one that is cheaper may come yet
            if move.fits(cores, seconds, self._cells_in_flight):
                self._first_looks.remove(move)
                return move
        moves = list(chain.from_iterable(self._moves.values()))
        return choose_move(moves, cores, seconds, self._cells_in_flight)

    def _settle_finished(self) -> None:
        for finished in self.feed.take_finished():
            self._settle(finished)

    def _settle(self, finished: FinishedMove[Move]) -> None:
        move, study = finished.move, finished.move.study
        self._cells_in_flight -= move.cells
        claims = self._pursued.pop(move)
        for number, reason in finished.failures.items():
            self.display.announce(f"{describe_move(move)}: failed: {reason}")
            study.failed_cells |= {spec.cell_id for spec in move.requests[number].job.cells}
            study.has_failed = True
        for reader in self.studies:
            concerned = [claim for claim in claims if claim in reader.claims]
            if concerned:
                self._unassessed.append((reader, concerned))

    def _look(self, study: StudyState, claims: Sequence[ClaimState]) -> None:
        """Look at claims, and find out what could be run for those that are open."""
        start, cpu_start = self.clock(), self._cpu_clock()
        open_before = [claim for claim in claims if not claim.is_decided]
        try:
            self._assess(study, claims)
        except UserError as error:  # a study none of whose cells has a result yet
            self.display.announce(f"{study.name}: {error}")
            study.has_failed = True
        self._look_seconds[study.name] = self.clock() - start
        self._look_cpu_seconds[study.name] = self._cpu_clock() - cpu_start
        for claim in claims:
            claim.is_in_flight = False
        others = [other for other in self.studies if other is not study]
        elsewhere = list(chain.from_iterable(other.claims for other in others))
        self._moves[study.name] = list_moves(study, self._model, elsewhere, self._price_look())
        for claim in open_before:
            if claim.is_decided:
                self.display.announce(
                    f"{study.name}: {claim.verdict}: {claim.claim['statement'].strip()}"
                )

    def _price_look(self) -> float:
        """The seconds of one core that are left for every look that open claims may still get."""
        claims = list(chain.from_iterable(study.claims for study in self.studies))
        looks_left = sum(MAX_LOOKS - claim.looks for claim in claims if not claim.is_decided)
        seconds = min(LONGEST_SECONDS, max(0.0, self.seconds_left))
        return self.feed.cores * seconds / max(1, looks_left)

    def _describe_size(self, move: Move) -> str:
        count = len(move.requests)
        jobs = f"{count} job" + "s" * (count != 1)
        claims = f"{len(move.claims)} claim" + "s" * (len(move.claims) != 1)
        wall_seconds = move.predict_wall_seconds(self.feed.cores)
        return f"{jobs}, about {wall_seconds:.0f} s, for {claims}"


def _order_first_looks(moves: Iterable[Move]) -> list[Move]:
    """Those of studies with a headline first, and among either the cheapest."""
    return sorted(moves, key=lambda move: (not move.study.has_headline, move.seconds))


def describe_move(move: Move) -> str:
    """A move as a line of the display shows it."""
    return f"{move.study.name}, {move.kind.value}"
