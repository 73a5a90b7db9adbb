"""What every way of measuring shares: which labels a training may use and how it is judged (these
change numbers), and which trainings are asked for (these do not: asking for more extends a finished
cell)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from bfc.errors import require
from bfc.measure.tuning import Tune
from bfc.types import Resumption, Row, Training

ROUND_SEEDS = 10**9
"""Seeds from here on belong to the rounds of the adaptive measure."""


def request(default: Any) -> Any:
    """A field that says what is asked for; it is no part of a cell's identity."""
    return field(default=default, metadata={"identity": False})


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Base of the measures. ``seeds``: a count (0, 1, ...) or a list; ``eps``: the relative risks
    at which n* is asked for."""

    version: ClassVar[int] = 1
    needs_constant_rate: ClassVar[bool] = False
    at_top: ClassVar[int] = 1
    """Fewest trainings that count as those of the largest n, where every n is measured once or few
    times."""

    eps: tuple[float, ...] | float = request((0.1, 0.01))
    seeds: int | tuple[int, ...] = request(8)
    confirm: int = request(4)
    """Seeds run on fresh data for 4 times the steps where nothing fits at the largest n, to tell a
    plateau from a lack of data or of steps; 0: no such runs."""
    validation: Literal["inside", "free", "none"] = "inside"
    """``inside``: a share of n is held out and counted; ``free``: extra labels, not counted (marked
    on every plot)."""
    validation_size: float = 0.2
    """Share of n (inside) or number of labels (free)."""
    test: int = 16384
    """Fresh test rows per seed."""
    tune: Tune | None = None
    """Choose the learning rate on tuning draws before measuring; null: the optimizer's own."""

    def __post_init__(self) -> None:
        eps = self.eps if isinstance(self.eps, tuple) else (self.eps,)
        object.__setattr__(self, "eps", tuple(sorted(set(eps), reverse=True)))
        require(
            len(eps) > 0 and all(0 < e < 1 for e in eps),
            "measure.eps",
            list(eps),
            "numbers between 0 and 1",
        )
        if isinstance(self.seeds, int):
            require(
                1 <= self.seeds <= 100_000,
                "measure.seeds",
                self.seeds,
                "a count >= 1 or a list of seeds >= 0",
            )
            object.__setattr__(self, "seeds", tuple(range(self.seeds)))
        require(
            len(self.seeds) > 0 and all(0 <= s < ROUND_SEEDS for s in self.seeds),
            "measure.seeds",
            list(self.seeds),
            f"a count >= 1 or a list of seeds from 0 to {ROUND_SEEDS - 1}",
        )
        require(
            len(set(self.seeds)) == len(self.seeds),
            "measure.seeds",
            list(self.seeds),
            "without repetition",
        )
        require(
            0 <= self.confirm <= 1000, "measure.confirm", self.confirm, "an integer from 0 to 1000"
        )
        require(
            16 <= self.test <= 1 << 24, "measure.test", self.test, "an integer from 16 to 16777216"
        )
        if self.validation == "none":
            object.__setattr__(self, "validation_size", 0.0)
        elif self.validation == "inside":
            require(
                0 < self.validation_size < 1,
                "measure.validation_size",
                self.validation_size,
                "a share in (0, 1) with measure.validation=inside",
            )
        else:
            require(
                self.validation_size >= 1 and self.validation_size == int(self.validation_size),
                "measure.validation_size",
                self.validation_size,
                "an integer count >= 1 with measure.validation=free",
            )

    @property
    def largest_n(self) -> int:
        """The largest number of labels that a training may be given."""
        return max(training.n for training in self.trainings())

    @property
    def max_trainings(self) -> int:
        """How many trainings are run at most, tuning and confirming runs not counted."""
        return len(self.trainings())

    @property
    def waits_for_smaller_d(self) -> bool:
        """Whether, in a sweep, it starts from what smaller d have shown."""
        return False

    def trainings(self) -> list[Training]:
        """Every training that is known beforehand; n = 0 stands for fresh samples."""
        raise TypeError("measure: choose single, ladder, adaptive or online")

    def next_round(self, rows: Sequence[Row]) -> list[Training]:
        """Trainings to run next, given the stored rows of every kind; empty when done.

        A function of ``rows`` alone, so that a cell that was killed goes on as it would have.
        """
        stored = set()
        for row in rows:
            if row["kind"] != "confirmation":
                stored.add((0 if row["fresh"] else row["n"], row["seed"]))
        return [t for t in self.trainings() if (t.n, t.seed) not in stored]

    def is_round_complete(self, rows: Sequence[Row]) -> bool:
        """Whether a round is complete, which is when confirming runs are considered."""
        return not self.next_round(rows)

    def observe(self, batch: int, steps: int) -> tuple[int, ...]:
        """Total steps at which the test risk is taken during a training of ``steps`` steps."""
        return ()

    def resume(self, plan: Mapping[str, Any] | None, rows: Sequence[Row]) -> Resumption:
        """The measure as it goes on in a cell that holds ``rows`` and ``plan``.

        Only a measure whose rounds depend on more than the rows keeps a plan.
        """
        kept = None if plan is None else dict(plan)
        return Resumption(measure=self, plan=kept, request=self)


def check_counts(n: tuple[int, ...]) -> None:
    """Refuse sample sizes that are not positive or repeat."""
    require(
        len(n) > 0 and all(2 <= k < 1 << 31 for k in n),
        "measure.n",
        list(n),
        "integers from 2 to 2147483647",
    )
    require(len(set(n)) == len(n), "measure.n", list(n), "without repetition")
