"""What some targets offer beyond :class:`bfc.types.Target`: base classes that a target inherits.

A target declares a capability by deriving from its class here, and a learner, a probe or a
representation that needs one asks ``isinstance(target.unwrapped, ImageTarget)``. Asking the
unwrapped target sees through tasks and representations (:mod:`bfc.targets.wrapped`). Nothing is
inferred from the names of attributes.

What a draw reveals to a learner besides samples is here too, as one class for each kind of target.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bfc.targets.harmonics import HarmonicPart
from bfc.targets.inputs import Law
from bfc.targets.radius_laws import RadiusLaw
from bfc.types import Draw, Revealed, Target


class InputLawTarget(Target):
    """A target whose inputs follow a law of x that its key ``law`` names."""

    law: object
    """For instance ``gaussian``, ``sphere`` or ``sign``."""


class LevelComposition(InputLawTarget):
    """A composition of quadratic levels, each of which reads levels below it."""

    L: int
    """Depth: the levels are 2..L."""
    law: Law
    quadrature: int
    """Monte-Carlo nodes where the exact expansion is too large."""

    @property
    @abstractmethod
    def coefficients(self) -> tuple[float, ...]:
        """alpha_2..alpha_L."""

    @abstractmethod
    def below(self, level: int) -> Sequence[int]:
        """The levels that ``level`` reads, the one right below it first (0: x, 1: x^2 - 1)."""

    @abstractmethod
    def width(self, level: int) -> int:
        """Number of coordinates of ``level``."""

    @abstractmethod
    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> LevelDraw:
        """One realisation per seed, with its weights and scales."""


@dataclass(frozen=True)
class RevealedScales(Revealed):
    """What a :class:`LevelComposition` reveals."""

    scale: Tensor
    """alpha_l / c_l of the levels 2..L, by which |z_l|^2 enters the label, (R, L-1)."""


class LevelDraw(Draw):
    """A draw of a :class:`LevelComposition`."""

    revealed: RevealedScales
    weights: Mapping[int, Mapping[int, Tensor]]
    """The teacher's: level → source → rows (R, k_level, width of source)."""


@dataclass(frozen=True)
class RevealedMean(Revealed):
    """What a target reveals whose formula has a mean that its labels do not have."""

    mean: Tensor
    """The mean that is subtracted from the formula, (R, 1)."""


class RadialTarget(Target):
    """A target that depends on the norm of its input alone; its draws reveal a mean."""

    @property
    @abstractmethod
    def radius_law(self) -> RadiusLaw:
        """The law of the norm."""

    @abstractmethod
    def value(self, r: Tensor) -> Tensor:
        """The profile at the radii ``r``, any shape; its mean is not subtracted."""


class ImageTarget(Target):
    """A target whose inputs are images."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""


class PatchTarget(Target):
    """A target whose inputs are s^L places, grouped level by level into patches of neighbours.

    As a method sees them, the inputs are the channels of the first place, then those of the next.
    """

    L: int
    """Number of levels of patches."""

    @property
    @abstractmethod
    def patch(self) -> int:
        """Neighbouring places that make a patch, at every level."""


class HarmonicTarget(Target):
    """A target whose variance is known exactly in every degree."""

    @abstractmethod
    def harmonics(self) -> tuple[HarmonicPart, ...]:
        """The share of Var f* in every degree, with the dimension of that degree."""


def input_law(target: Target) -> object | None:
    """The law of x that the key ``target.law`` names; None for a target without such a key."""
    inner = target.unwrapped
    return inner.law if isinstance(inner, InputLawTarget) else None


def read_scales(draw: Draw) -> Tensor:
    """The scales (R, L-1) that a draw of a :class:`LevelComposition` reveals."""
    assert isinstance(draw.revealed, RevealedScales)
    return draw.revealed.scale


def read_mean(draw: Draw) -> Tensor:
    """The mean (R, 1) that a draw reveals, for instance one of a :class:`RadialTarget`."""
    assert isinstance(draw.revealed, RevealedMean)
    return draw.revealed.mean
