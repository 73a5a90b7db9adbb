"""What some learners offer beyond :class:`bfc.types.Learner`, for the probes that need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from bfc.types import Params

Features = tuple[Tensor, Tensor, Tensor]
"""Features s (R, p, B) of a level, its centred products (R, p(p+1)/2, B) and their subtracted mean
(R, p(p+1)/2, 1).

Rows come last so that every product is a contiguous run.
"""


@runtime_checkable
class LevelFeatures(Protocol):
    """A quadratic network whose levels have features that can be set against a teacher's."""

    def features(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Features]:
        """What every level that is present has learned, from inputs (R, B, d)."""
        ...

    def rows(self, params: Params, level: int, present: frozenset[str]) -> dict[int, Tensor]:
        """The weights of a level's features by what they read.

        Source → (R, p, width of source), with source 0 for x and 1 for (x^2 - 1)/sqrt 2.
        """
        ...


@runtime_checkable
class LevelScales(Protocol):
    """A network whose levels enter the output with scales that are known or trained."""

    @property
    def alpha(self) -> str:
        """``known`` (from the target) or ``trained``."""
        ...


@runtime_checkable
class HiddenStates(Protocol):
    """A network whose representation after every level can be read, now and at a phase's start."""

    @property
    def remember(self) -> bool:
        """Whether the parameters that a phase began with are kept
        (:mod:`bfc.learners.phase_start`)."""
        ...

    def hidden(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Tensor]:
        """The representation after every level that is present, level → (R, B, units)."""
        ...
