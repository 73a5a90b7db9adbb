"""What every way of measuring shares.

Which labels a training may use and how it is judged (these change numbers), and which trainings are
asked for (these do not: asking for more extends a finished cell).
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from bfc.errors import require
from bfc.field_types import Accepts
from bfc.measure.tuning import Tune
from bfc.stats.outcomes import is_confirming
from bfc.types import Measure, Resumption, Row, Training

ROUND_SEEDS = 10**9
"""Seeds from here on belong to the rounds of the adaptive measure."""
MAX_N = (1 << 31) - 1

Levels = Annotated[tuple[float, ...], Accepts(tuple[float, ...] | float)]
"""Relative risks, largest first."""
Seeds = Annotated[tuple[int, ...], Accepts(int | tuple[int, ...])]
"""Seeds; a count stands for 0, 1, ..."""
Sizes = Annotated[tuple[int, ...], Accepts(tuple[int, ...] | int)]
"""Sample sizes, smallest first."""


REQUEST = {"identity": False}
"""Metadata of a field that says what is asked for; it is no part of a cell's identity."""


def check_sizes(n: Sequence[int]) -> None:
    """Refuse sample sizes that are out of range or repeat."""
    in_range = len(n) > 0 and all(2 <= size <= MAX_N for size in n)
    require(in_range, "measure.n", list(n), f"integers from 2 to {MAX_N}")
    require(len(set(n)) == len(n), "measure.n", list(n), "without repetition")


@dataclass(frozen=True, kw_only=True)
class MeasureBase(Measure):
    """What all measures share: ``seeds``, the risks ``eps`` at which n* is asked for, validation.

    A measure derives from :class:`FixedMeasure` if all of its trainings are known beforehand, and
    from :class:`SequentialMeasure` if they depend on the results of earlier ones.
    """

    version: ClassVar[int] = 1
    needs_constant_rate: ClassVar[bool] = False
    at_top: ClassVar[int] = 1
    """Fewest trainings that count as those of the largest n, where an n is measured only once or a
    few times."""

    eps: Levels = field(default=(0.1, 0.01), metadata=REQUEST)
    seeds: Seeds = field(default=tuple(range(8)), metadata=REQUEST)
    confirm: int = field(default=4, metadata=REQUEST)
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
        in_range = len(eps) > 0 and all(0 < e < 1 for e in eps)
        require(in_range, "measure.eps", list(eps), "numbers between 0 and 1")
        self._check_seeds()
        confirm, test = self.confirm, self.test
        require(0 <= confirm <= 1000, "measure.confirm", confirm, "an integer from 0 to 1000")
        require(16 <= test <= 1 << 24, "measure.test", test, "an integer from 16 to 16777216")
        self._check_validation()

    def _check_seeds(self) -> None:
        if isinstance(self.seeds, int):
            count: int = self.seeds
            words = "a count >= 1 or a list of seeds >= 0"
            require(1 <= count <= 100_000, "measure.seeds", count, words)
            object.__setattr__(self, "seeds", tuple(range(count)))
        in_range = len(self.seeds) > 0 and all(0 <= seed < ROUND_SEEDS for seed in self.seeds)
        words = f"a count >= 1 or a list of seeds from 0 to {ROUND_SEEDS - 1}"
        require(in_range, "measure.seeds", list(self.seeds), words)
        is_unique = len(set(self.seeds)) == len(self.seeds)
        require(is_unique, "measure.seeds", list(self.seeds), "without repetition")

    def _check_validation(self) -> None:
        size = self.validation_size
        if self.validation == "none":
            object.__setattr__(self, "validation_size", 0.0)
        elif self.validation == "inside":
            words = "a share in (0, 1) with measure.validation=inside"
            require(0 < size < 1, "measure.validation_size", size, words)
        else:
            words = "an integer count >= 1 with measure.validation=free"
            require(size >= 1 and size == int(size), "measure.validation_size", size, words)

    @property
    def waits_for_smaller_d(self) -> bool:
        return False

    def is_round_complete(self, rows: Sequence[Row]) -> bool:
        """Whether a round is complete, which is when confirming runs are considered.

        By default only where nothing is left to run.
        """
        return not self.next_round(rows)

    def observe(self, batch: int, steps: int) -> tuple[int, ...]:
        """Total steps at which the test risk is taken during a training of ``steps`` steps.

        By default none: it is taken at the end.
        """
        return ()

    def resume(self, plan: Mapping[str, Any] | None, rows: Sequence[Row]) -> Resumption:
        """The measure as it goes on in a cell that holds ``rows`` and ``plan`` (None: a new cell).

        By default unchanged: only a measure whose rounds depend on more than the rows has a plan.
        """
        return Resumption(measure=self, plan=None if plan is None else dict(plan), request=self)

    def extend(self, num_seeds: int) -> dict[str, Any]:
        """Fields → the values with which this measure asks for ``num_seeds`` seeds in all.

        Its own seeds stay, so that stored trainings are used again; those that are added are the
        smallest numbers that are free, so that methods with the same seeds keep sharing draws.
        """
        numbers = (number for number in itertools.count() if number not in self.seeds)
        added = itertools.islice(numbers, max(0, num_seeds - len(self.seeds)))
        seeds = (*self.seeds, *added)
        is_count = seeds == tuple(range(len(seeds)))
        return {"seeds": len(seeds) if is_count else list(seeds)}


@dataclass(frozen=True, kw_only=True)
class FixedMeasure(MeasureBase):
    """A measure whose trainings are all known beforehand; a subclass gives :meth:`trainings`."""

    @abstractmethod
    def trainings(self) -> list[Training]:
        """Every training; n = 0 stands for fresh samples."""

    @property
    def largest_n(self) -> int:
        return max(training.n for training in self.trainings())

    @property
    def max_trainings(self) -> int:
        return len(self.trainings())

    @property
    def max_round(self) -> int:
        return self.max_trainings

    def next_round(self, rows: Sequence[Row]) -> list[Training]:
        """The trainings that are not stored, all in one round."""
        stored = set()
        for row in rows:
            if not is_confirming(row):
                stored.add((0 if row["fresh"] else row["n"], row["seed"]))
        return [t for t in self.trainings() if (t.n, t.seed) not in stored]


@dataclass(frozen=True, kw_only=True)
class SequentialMeasure(MeasureBase):
    """A measure whose trainings depend on the results of earlier ones.

    A subclass gives :meth:`next_round`, :attr:`largest_n` and :attr:`max_trainings`
    (docs/add_a_measure.md).
    """

    def trainings(self) -> list[Training]:
        """None is known beforehand."""
        return []

    @abstractmethod
    def next_round(self, rows: Sequence[Row]) -> list[Training]:
        """Trainings to run next, given the stored rows of every kind; empty when done.

        A function of ``rows`` alone, so that a cell that was killed goes on as it would have.
        """

    @property
    @abstractmethod
    def largest_n(self) -> int: ...

    @property
    @abstractmethod
    def max_trainings(self) -> int: ...

    @property
    def max_round(self) -> int:
        """How many trainings are asked for at once; a subclass that knows overrides it."""
        return self.max_trainings
