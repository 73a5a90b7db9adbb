"""What some learners offer beyond :class:`bfc.types.Learner`: base classes that they inherit.

A learner declares a capability by deriving from its class here, and a probe that needs one asks
with ``isinstance``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from bfc.types import Learner, Params

Features = tuple[Tensor, Tensor, Tensor]
"""Features s (R, p, B) of a level, its centred products (R, p(p+1)/2, B) and their subtracted mean
(R, p(p+1)/2, 1).

Rows come last so that every product is a contiguous run.
"""


class LevelFeatures(Learner):
    """A quadratic network whose levels have features that can be set against a teacher's."""

    @abstractmethod
    def features(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Features]:
        """What every level that is present has learned, from inputs (R, B, d)."""

    @abstractmethod
    def rows(self, params: Params, level: int, present: frozenset[str]) -> dict[int, Tensor]:
        """The weights of a level's features by what they read.

        Source → (R, p, width of source), with source 0 for x and 1 for (x^2 - 1)/sqrt 2.
        """


class InputWeights(Learner):
    """A network whose first layer is a matrix that acts on its inputs."""

    first_layer: ClassVar[str]
    """The name of that matrix among the parameters, one column per unit, (R, d, units)."""

    def input_weights(self, params: Params) -> Tensor:
        """The first layer, (R, d, units)."""
        return params[self.first_layer]


class LevelScales(Learner):
    """A network whose levels enter the output with scales that are known or trained."""

    alpha: Literal["known", "trained"]
    """Whether the scales are those of the target or trained."""


class HiddenStates(Learner):
    """A network whose representation after every level can be read."""

    @abstractmethod
    def hidden(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Tensor]:
        """The representation after every level that is present, level → (R, B, units)."""

    def activations(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Tensor]:
        """All that a level computes, level → (R, B, numbers): the representation, or, where that is
        an average over places, the units of every place."""
        return self.hidden(params, x, present, statistics)


class PhaseStates(HiddenStates):
    """A network whose representation can also be read as it was when the phase began."""

    remember: bool
    """Whether the parameters that a phase began with are kept
    (:mod:`bfc.learners.phase_start`)."""
