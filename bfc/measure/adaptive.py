"""Sample sizes placed where they are most informative about n*, in rounds of one stack each.

A round is spread over what is still possible for log n* given the trainings so far; a fresh seed
per training keeps them independent. The next round is a function of the stored rows and of the plan
kept with the cell (the prior it was begun with, and when which question was first asked), nothing
else, so a killed cell goes on with the same round, and a finished one goes on where it is asked for
more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from bfc.errors import require
from bfc.measure.base import MAX_N, REQUEST, ROUND_SEEDS, SequentialMeasure
from bfc.stats.outcomes import HOPELESS, classify_rows, is_confirming
from bfc.types import Resumption, Row, Training

if TYPE_CHECKING:
    from bfc.stats.design import Density

PRIOR_TAIL = 6.0
PRIOR_POINTS = 801
MAX_ROUNDS = 1000
MAX_PROBABILITY_ABOVE = 0.95
"""A cell ends early where this much of the probability of n* lies above n_max."""
PRIOR_MIXTURE_WEIGHT = 0.05
"""Weight of the wide density in the prior.

Without it a cell whose n* lies far from what smaller d predict would take the edge of their
prediction for its n*, and end there.
"""


@dataclass(frozen=True, kw_only=True)
class Adaptive(SequentialMeasure):
    """Up to ``rounds`` rounds of ``replicas`` trainings; that product is the budget in trainings.

    A cell ends earlier where the standard deviation of log n* at the strictest eps is below
    ``stop``, another round would exceed the budget of ``seconds``, or the method shows that it
    never gets there. A stricter eps or a larger n_max than a cell was asked for before is a new
    question, with budgets of its own. ``seeds`` is used by baselines only.
    """

    identity_name: ClassVar[str] = "bfc.measure.base.Measure"
    at_top: ClassVar[int] = 4
    version: ClassVar[int] = 1

    rounds: int = field(default=3, metadata=REQUEST)
    replicas: int = field(default=16, metadata=REQUEST)
    n_min: int = field(default=16, metadata=REQUEST)
    n_max: int = field(default=16384, metadata=REQUEST)
    stop: float = field(default=0.1, metadata=REQUEST)
    seconds: float | None = field(default=None, metadata=REQUEST)
    """Training seconds, summed over stored trainings; null: no such limit. A round that is expected
    to exceed it is not begun."""
    cost_weight: float = field(default=0.0, metadata=REQUEST)
    """A training is taken to cost n^cost_weight, and n is placed with the density of log n* divided
    by the square root of that: the least variance at a given cost. 0: all cost the same, as here,
    where a step takes a batch whatever n is; 1: full batches (n · steps); 3: a direct solve."""
    prior: tuple[float, float] | Literal["auto"] | None = field(default="auto", metadata=REQUEST)
    """Mean and standard deviation of log n* before the first round; auto: in a sweep from smaller d
    (waves by d), else wide; null: wide, flat in log n between n_min and n_max."""
    first_seed: int = field(default=ROUND_SEEDS, metadata=REQUEST)
    """Seed of the first training; those of the other measures are smaller, so that rows that share
    a cell are told apart."""
    fresh: bool = field(default=False, init=False)
    """Always false here; in the identity so that all finite measures share one cell."""

    def __post_init__(self) -> None:
        self._check_rounds()
        self._check_placement()
        super().__post_init__()

    def _check_rounds(self) -> None:
        rounds, replicas = self.rounds, self.replicas
        words = f"an integer from 1 to {MAX_ROUNDS}"
        require(1 <= rounds <= MAX_ROUNDS, "measure.rounds", rounds, words)
        words = "an integer from 2 to 100000"
        require(2 <= replicas <= 100_000, "measure.replicas", replicas, words)
        require(2 <= self.n_min, "measure.n_min", self.n_min, "an integer >= 2")
        words = f"an integer above measure.n_min = {self.n_min}"
        require(self.n_min < self.n_max <= MAX_N, "measure.n_max", self.n_max, words)

    def _check_placement(self) -> None:
        require(self.stop >= 0, "measure.stop", self.stop, "a number >= 0")
        is_budget = self.seconds is None or self.seconds > 0
        require(is_budget, "measure.seconds", self.seconds, "null or a number > 0")
        cost_weight, first_seed, prior = self.cost_weight, self.first_seed, self.prior
        require(0 <= cost_weight <= 4, "measure.cost_weight", cost_weight, "a number from 0 to 4")
        is_own_seed = ROUND_SEEDS <= first_seed < 1 << 61
        require(is_own_seed, "measure.first_seed", first_seed, f"an integer >= {ROUND_SEEDS}")
        is_prior = prior in ("auto", None)
        if isinstance(prior, tuple):
            is_prior = len(prior) == 2 and prior[1] > 0
        words = "auto, null or [mean of log n*, standard deviation > 0]"
        require(is_prior, "measure.prior", prior, words)

    @property
    def largest_n(self) -> int:
        return self.n_max

    @property
    def max_trainings(self) -> int:
        return self.rounds * self.replicas

    @property
    def max_round(self) -> int:
        return self.replicas

    @property
    def waits_for_smaller_d(self) -> bool:
        return self.prior == "auto"

    def resume(self, plan: Mapping[str, Any] | None, rows: Sequence[Row]) -> Resumption:
        """The measure as it goes on in a cell that holds ``rows`` and ``plan`` (None: a new cell).

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
        rounds = self.rounds + _ceil_div(question["trainings"], self.replicas)
        seconds = None if self.seconds is None else self.seconds + question["seconds"]
        resumed = replace(self, prior=prior, rounds=min(rounds, MAX_ROUNDS), seconds=seconds)
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
        whole_rounds = _ceil_div(len(stored), self.replicas)
        return {
            "eps": min(self.eps),
            "n_max": self.n_max,
            "trainings": whole_rounds * self.replicas,
            "seconds": sum(row["seconds"] for row in stored.values()),
        }

    def _stored(self, rows: Sequence[Row]) -> dict[int, Row]:
        """Seed → row of the trainings of rounds."""
        stored = {}
        for row in rows:
            if row["kind"] == "training" and row["seed"] >= self.first_seed:
                stored[row["seed"]] = row
        return stored

    def extend(self, num_seeds: int) -> dict[str, Any]:
        """More rounds, since every training has a seed of its own, and none left out because n* is
        known well enough; ``seeds`` for baselines."""
        rounds = max(self.rounds, _ceil_div(num_seeds, self.replicas))
        return {**super().extend(num_seeds), "rounds": min(rounds, MAX_ROUNDS), "stop": 0.0}

    def next_round(self, rows: Sequence[Row]) -> list[Training]:
        """What is missing of the first round that is not complete; empty when the cell ends."""
        stored = self._stored(rows)
        for number in range(self.rounds):
            start = self.first_seed + number * self.replicas
            seeds = range(start, start + self.replicas)
            missing = [seed for seed in seeds if seed not in stored]
            if not missing:
                continue
            earlier = [row for seed, row in stored.items() if seed < start]
            is_new_round = len(missing) == self.replicas
            if is_new_round and earlier and self._is_settled(earlier, rows):
                return []
            sizes = dict(zip(seeds, self._choose_sample_sizes(earlier), strict=True))
            return [Training(sizes[seed], seed) for seed in missing]
        return []

    def is_round_complete(self, rows: Sequence[Row]) -> bool:
        count = len(self._stored(rows))
        return count > 0 and count % self.replicas == 0

    def posterior(self, rows: Sequence[Row]) -> Density:
        """Density of log n* at the strictest eps given ``rows`` and the prior."""
        # pandas and scipy load late: a job is planned without them
        import pandas

        from bfc.stats.design import update_density

        columns = ["n", "seed", "risk", "train_risk", "kind", "diverged"]
        table = pandas.DataFrame(rows, columns=columns)
        return update_density(table, self._prior_density(), min(self.eps))

    def _prior_density(self) -> Density:
        """The wide density, or its mixture with the normal one that ``prior`` gives."""
        from bfc.stats.design import normalise_density, wide_density

        wide = wide_density(self.n_min, self.n_max)
        if not isinstance(self.prior, tuple):
            return wide
        mean, sd = self.prior
        grid = mean + sd * np.linspace(-PRIOR_TAIL, PRIOR_TAIL, PRIOR_POINTS)
        mu = np.union1d(grid, wide.mu)
        normal = np.exp(-0.5 * ((mu - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
        weight = PRIOR_MIXTURE_WEIGHT
        mixture = (1 - weight) * normal + weight * np.interp(mu, wide.mu, wide.pdf)
        return normalise_density(mu, np.log(mixture))

    def _choose_sample_sizes(self, earlier: Sequence[Row]) -> list[int]:
        """The sample sizes of a round, given the rows of earlier rounds."""
        from bfc.stats.design import choose_sample_sizes

        def cost(n: np.ndarray) -> np.ndarray:
            return np.asarray(n**self.cost_weight)

        density = self.posterior(earlier) if earlier else self._prior_density()
        sizes = choose_sample_sizes(density, self.replicas, cost if self.cost_weight else None)
        return [min(max(int(n), self.n_min), self.n_max) for n in sizes]

    def _is_settled(self, earlier: Sequence[Row], rows: Sequence[Row]) -> bool:
        """Whether the cell ends after the rows of earlier rounds.

        The method never gets there, the budget of seconds is spent, n* is known well enough, or it
        lies above n_max.
        """
        confirming = [row["risk"] for row in rows if is_confirming(row)]
        if confirming and HOPELESS.issuperset(classify_rows(earlier, min(self.eps), confirming)):
            return True
        spent = sum(row["seconds"] for row in earlier)
        expected = spent * (1 + self.replicas / len(earlier))
        if self.seconds is not None and expected > self.seconds:
            return True
        posterior = self.posterior(earlier)
        pdf_above = np.where(posterior.mu > np.log(self.n_max), posterior.pdf, 0.0)
        probability_above = float(np.trapezoid(pdf_above, posterior.mu))
        return posterior.sd < self.stop or probability_above > MAX_PROBABILITY_ABOVE


def _ceil_div(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
