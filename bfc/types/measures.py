"""What a measure and the choice of a learning rate must offer: which trainings are run.

A measure sees trainings as stored rows alone, so that a cell goes on after an interruption as it
would have without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from bfc.component import Component

Row = Mapping[str, Any]
"""One stored training: column → value."""


@dataclass(frozen=True)
class Training:
    """One fit that is asked for: ``n`` labels (0: fresh samples at every step) and a seed."""

    n: int
    seed: int
    kind: str = "training"
    """``training``, or ``confirmation``: a longer run on fresh data that tells a plateau from a
    lack of data."""


class Tuning(Component, Protocol, config_key="measure.tune"):
    """How a learning rate is chosen before anything is measured (:mod:`bfc.measure.tuning`)."""

    @property
    def fresh(self) -> bool:
        """Whether it trains on fresh samples at every step."""
        ...

    def trainings(self) -> list[tuple[Training, float]]:
        """Every (training, learning rate) that is tried."""
        ...

    def choose(self, risks: Mapping[tuple[float, int, int], float]) -> dict[str, Any]:
        """What was chosen (``lr``) and tried, from (rate, n, seed) → risk."""
        ...

    def risk(self, record: Mapping[str, Any]) -> float:
        """The risk of a finished training by which rates are compared."""
        ...


@dataclass(frozen=True)
class Resumption:
    """How a measure goes on in a cell that already holds rows."""

    measure: Measure
    """The measure as it goes on."""
    plan: dict[str, Any] | None
    """What is kept with the cell (plan.json); None: nothing."""
    request: Measure
    """The measure as it was asked for, with what the cell keeps from earlier in its place."""
    note: str | None = None
    """What a user should know about what is kept."""


class Measure(Component, Protocol, config_key="measure"):
    """Which trainings are run, given what is stored (:mod:`bfc.measure.base`)."""

    identity_name: ClassVar[str]
    version: ClassVar[int]
    needs_constant_rate: ClassVar[bool]
    """Whether the learning rate must not depend on the number of steps."""
    at_top: ClassVar[int]
    """Fewest trainings that count as those of the largest n."""

    @property
    def eps(self) -> tuple[float, ...]:
        """The relative risks at which n* is asked for."""
        ...

    @property
    def seeds(self) -> tuple[int, ...]: ...

    @property
    def confirm(self) -> int:
        """Confirming runs where nothing fits at the largest n."""
        ...

    @property
    def validation(self) -> str:
        """``inside``, ``free`` or ``none``."""
        ...

    @property
    def validation_size(self) -> float: ...

    @property
    def test(self) -> int:
        """Fresh test rows per seed."""
        ...

    @property
    def tune(self) -> Tuning | None: ...

    @property
    def largest_n(self) -> int:
        """The largest number of labels that a training may be given."""
        ...

    @property
    def max_trainings(self) -> int:
        """How many trainings are run at most, tuning and confirming runs not counted."""
        ...

    @property
    def max_round(self) -> int:
        """How many trainings are asked for at once, at most."""
        ...

    @property
    def waits_for_smaller_d(self) -> bool:
        """Whether, in a sweep, it starts from what smaller d have shown."""
        ...

    def trainings(self) -> list[Training]:
        """Every training that is known beforehand."""
        ...

    def next_round(self, rows: Sequence[Row]) -> list[Training]:
        """Trainings to run next, a function of the stored rows alone; empty when done."""
        ...

    def is_round_complete(self, rows: Sequence[Row]) -> bool:
        """Whether a round is complete, which is when confirming runs are considered."""
        ...

    def observe(self, batch: int, steps: int) -> tuple[int, ...]:
        """Total steps at which the test risk is taken during a training of ``steps`` steps."""
        ...

    def resume(self, plan: Mapping[str, Any] | None, rows: Sequence[Row]) -> Resumption:
        """The measure as it goes on in a cell with ``rows`` and ``plan`` (None: a new cell)."""
        ...

    def extend(self, num_seeds: int) -> Mapping[str, Any]:
        """Fields of this measure → the values with which it asks for so many seeds in all."""
        ...
