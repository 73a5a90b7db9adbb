"""Sample sizes placed where they say most about n*: rounds of one stack each, spread over what is
still possible for log n* given the trainings so far. A fresh seed per training keeps them
independent. The next round is a function of the stored rows and of the plan kept with the cell (the
prior it was begun with, and when which question was first asked), nothing else, so a killed cell
goes on with the same round, and a finished one goes on where it is asked for more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from bfc.errors import require
from bfc.measure.base import ROUND_SEEDS, Measure, request
from bfc.stats.outcomes import judge
from bfc.types import Resumption, Row, Training

if TYPE_CHECKING:
    from bfc.stats.design import Density

PRIOR_TAIL = 6.0
PRIOR_POINTS = 801
MOST_ROUNDS = 1000
MOST_ABOVE = 0.95
"""A cell ends early where this much of the probability of n* lies above n_max."""
DOUBT = 0.05
"""Share of the prior that knows nothing of smaller d. Without it a cell whose n* lies far from
where they promise it would take the edge of the promise for its n*, and end there."""


@dataclass(frozen=True, kw_only=True)
class Adaptive(Measure):
    """Up to ``rounds`` rounds of ``replicas`` trainings (that product is the budget in trainings),
    until the standard deviation of log n* at the strictest eps is below ``stop``, another round
    would exceed the budget of ``seconds``, or the method shows that it never gets there. A stricter
    eps or a larger n_max than a cell was asked for before is a new question, with budgets of its
    own. ``seeds`` is used by baselines only."""

    identity_name: ClassVar[str] = "bfc.measure.base.Measure"
    at_top: ClassVar[int] = 4
    version: ClassVar[int] = 1

    rounds: int = request(3)
    replicas: int = request(16)
    n_min: int = request(16)
    n_max: int = request(16384)
    stop: float = request(0.1)
    seconds: float | None = request(None)
    """Training seconds, summed over stored trainings; null: no such limit. A round that is expected
    to exceed it is not begun."""
    cost_weight: float = request(0.0)
    """A training is taken to cost n^cost_weight, and n is placed with the density of log n* divided
    by the square root of that: the least variance at a given cost. 0: all cost the same, as here,
    where a step takes a batch whatever n is; 1: full batches (n · steps); 3: a direct solve."""
    prior: tuple[float, float] | Literal["auto"] | None = request("auto")
    """Mean and standard deviation of log n* before the first round; auto: in a sweep from smaller d
    (waves by d), else wide; null: wide, flat in log n between n_min and n_max."""
    first_seed: int = request(ROUND_SEEDS)
    """Seed of the first training; those of the other measures are smaller, so that rows that share
    a cell are told apart."""
    fresh: bool = field(default=False, init=False)
    """Always false here; in the identity so that all finite measures share one cell."""

    def __post_init__(self) -> None:
        require(
            1 <= self.rounds <= MOST_ROUNDS,
            "measure.rounds",
            self.rounds,
            f"an integer from 1 to {MOST_ROUNDS}",
        )
        require(
            2 <= self.replicas <= 100_000,
            "measure.replicas",
            self.replicas,
            "an integer from 2 to 100000",
        )
        require(2 <= self.n_min, "measure.n_min", self.n_min, "an integer >= 2")
        require(
            self.n_min < self.n_max < 1 << 31,
            "measure.n_max",
            self.n_max,
            f"an integer above measure.n_min = {self.n_min}",
        )
        require(self.stop >= 0, "measure.stop", self.stop, "a number >= 0")
        require(
            self.seconds is None or self.seconds > 0,
            "measure.seconds",
            self.seconds,
            "null or a number > 0",
        )
        require(
            0 <= self.cost_weight <= 4,
            "measure.cost_weight",
            self.cost_weight,
            "a number from 0 to 4",
        )
        require(
            ROUND_SEEDS <= self.first_seed < 1 << 61,
            "measure.first_seed",
            self.first_seed,
            f"an integer >= {ROUND_SEEDS}",
        )
        valid = self.prior in ("auto", None) or (len(self.prior) == 2 and self.prior[1] > 0)
        require(
            valid,
            "measure.prior",
            self.prior,
            "auto, null or [mean of log n*, standard deviation > 0]",
        )
        super().__post_init__()

    @property
    def largest_n(self) -> int:
        return self.n_max

    @property
    def max_trainings(self) -> int:
        return self.rounds * self.replicas

    @property
    def waits_for_smaller_d(self) -> bool:
        return self.prior == "auto"

    def trainings(self) -> list[Training]:
        return []

    def resume(self, plan: Mapping[str, Any] | None, rows: Sequence[Row]) -> Resumption:
        """The measure as it goes on in a cell that holds ``rows`` and ``plan`` (None: a new one).

        The plan holds the ``prior`` that the cell was begun with, which later knowledge must not
        move, and the ``questions`` asked so far: strictest eps, n_max, and the trainings and
        seconds that were spent when the question was first asked. Budgets count from there; a
        question that an earlier one covers is not new.
        """
        plan = {"prior": self.prior, "questions": [], **(plan or {})}
        question = self._covering_question(plan["questions"])
        if question is None:
            question = self._new_question(rows)
            plan["questions"] = [*plan["questions"], question]
        prior = tuple(plan["prior"]) if isinstance(plan["prior"], list | tuple) else plan["prior"]
        rounds = self.rounds + -(-question["trainings"] // self.replicas)
        seconds = None if self.seconds is None else self.seconds + question["seconds"]
        resumed = replace(self, prior=prior, rounds=min(rounds, MOST_ROUNDS), seconds=seconds)
        if prior == self.prior:
            return Resumption(resumed, plan, request=self)
        note = f"measure.prior={self.prior}: this cell keeps the prior it was begun with, {prior}"
        return Resumption(resumed, plan, request=replace(self, prior=prior), note=note)

    def _covering_question(
        self, questions: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | None:
        """The first earlier question that asks for at least as much as this one."""
        for question in questions:
            if question["eps"] <= min(self.eps) and question["n_max"] >= self.n_max:
                return question
        return None

    def _new_question(self, rows: Sequence[Row]) -> dict[str, Any]:
        stored = self._stored(rows)
        whole_rounds = -(-len(stored) // self.replicas)
        return {
            "eps": min(self.eps),
            "n_max": self.n_max,
            "trainings": whole_rounds * self.replicas,
            "seconds": sum(row["seconds"] for row in stored.values()),
        }

    def _stored(self, rows: Sequence[Row]) -> dict[int, Row]:
        """Seed → row of the trainings of rounds."""
        return {
            row["seed"]: row
            for row in rows
            if row["kind"] == "training" and row["seed"] >= self.first_seed
        }

    def next_round(self, rows: Sequence[Row]) -> list[Training]:
        stored = self._stored(rows)
        for start in range(
            self.first_seed, self.first_seed + self.rounds * self.replicas, self.replicas
        ):
            seeds = range(start, start + self.replicas)
            missing = [seed for seed in seeds if seed not in stored]
            if missing:
                before = [row for seed, row in stored.items() if seed < start]
                if missing == list(seeds) and before and self._settled(before, rows):
                    return []
                sizes = dict(zip(seeds, self._place(before), strict=True))
                return [Training(sizes[seed], seed) for seed in missing]
        return []

    def is_round_complete(self, rows: Sequence[Row]) -> bool:
        count = len(self._stored(rows))
        return count > 0 and count % self.replicas == 0

    def believed(self, rows: Sequence[Row]) -> Density:
        """Density of log n* at the strictest eps given ``rows`` and the prior."""
        import pandas

        from bfc.stats.design import posterior_mu

        table = pandas.DataFrame(
            rows, columns=["n", "seed", "risk", "train_risk", "kind", "diverged"]
        )
        return posterior_mu(table, self._prior(), min(self.eps))

    def _prior(self) -> Density:
        import numpy as np

        from bfc.stats.design import density, wide

        open_minded = wide(self.n_min, self.n_max)
        if self.prior in ("auto", None):
            return open_minded
        mean, sd = self.prior
        mu = np.union1d(
            mean + sd * np.linspace(-PRIOR_TAIL, PRIOR_TAIL, PRIOR_POINTS), open_minded.mu
        )
        told = np.exp(-0.5 * ((mu - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
        doubt = np.interp(mu, open_minded.mu, open_minded.pdf)
        return density(mu, np.log((1 - DOUBT) * told + DOUBT * doubt))

    def _place(self, before: Sequence[Row]) -> list[int]:
        from bfc.stats.design import place

        believed = self.believed(before) if before else self._prior()
        cost = (lambda n: n**self.cost_weight) if self.cost_weight else None
        return [
            min(max(int(n), self.n_min), self.n_max) for n in place(believed, self.replicas, cost)
        ]

    def _settled(self, before: Sequence[Row], rows: Sequence[Row]) -> bool:
        """Whether no further round is worth it."""
        import numpy as np

        eps = min(self.eps)
        confirming = [row["risk"] for row in rows if row["kind"] == "confirmation"]
        if confirming and all(
            judge(row, eps, confirming) in ("plateau", "diverged") for row in before
        ):
            return True
        spent = sum(row["seconds"] for row in before)
        if self.seconds is not None and spent * (1 + self.replicas / len(before)) > self.seconds:
            return True
        believed = self.believed(before)
        beyond = np.where(believed.mu > np.log(self.n_max), believed.pdf, 0.0)
        above = float(np.trapezoid(beyond, believed.mu))
        return believed.sd < self.stop or above > MOST_ABOVE
