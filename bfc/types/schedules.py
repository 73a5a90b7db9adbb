"""What a schedule must offer, and the phases that it is made concrete as."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from torch import Tensor

from bfc.component import Component
from bfc.shapes import Bool, Float64


@dataclass(frozen=True)
class Stage:
    """A phase of a schedule made concrete for a learner's groups and levels."""

    name: str
    train: tuple[str, ...]
    """The groups that train."""
    present: frozenset[str]
    """The groups that exist in the network."""
    steps: int
    until: float | None = None
    """The phase also ends once the training loss is at most this multiple of ``gap`` or chance."""
    penalties: Mapping[str, float] = field(default_factory=dict)
    gap: int | None = None
    """The level whose information gap ``until`` is a multiple of; None: of chance."""
    added: frozenset[str] = frozenset()
    """The groups that no earlier stage had in the network."""


class Schedule(Component, Protocol, config_key="schedule"):
    """When which parameter groups train; knows group names only (:mod:`bfc.schedules`)."""

    identity_name: ClassVar[str]
    version: ClassVar[int]

    @property
    def name(self) -> str: ...

    @property
    def check_every(self) -> int:
        """Steps between two evaluations of validation and train risk."""
        ...

    @property
    def patience(self) -> int | None:
        """Checks without a better validation risk after which a phase ends early; None: never."""
        ...

    def has_improved(
        self, risk: Float64[Tensor, " R"], best: Float64[Tensor, " R"]
    ) -> Bool[Tensor, " R"]:
        """Whether a validation risk is better than the best of the phase so far.

        The parameters are then kept as the best, and the count of stale checks starts anew. Before
        the first improvement of a phase ``best`` is infinite.
        """
        ...

    def ends_phase(self, step: int, stale_checks: int, is_loss_low: bool) -> bool:
        """Whether a phase of one training ends early; asked at every check, after ``step`` steps.

        ``stale_checks`` counts the checks since the last improvement; ``is_loss_low`` is whether
        the training loss has reached the ``until`` of the stage.
        """
        ...

    @abstractmethod
    def stages(
        self, groups: Iterable[str], levels: Sequence[int], longer: int = 1
    ) -> tuple[Stage, ...]:
        """The phases made concrete for a learner, ``longer`` times as long."""
        ...
