"""What some targets offer beyond :class:`bfc.types.Target`, and how to ask for it.

A learner, a probe or a representation that needs more than every target has asks with one of the
functions below. A plain ``isinstance`` would not do: a target may be wrapped by a task or by a
representation, which delegate attributes (:mod:`bfc.targets.wrapped`), and from Python 3.12 on
``isinstance`` with a protocol ignores delegated attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeGuard

from torch import Tensor

from bfc.targets.harmonics import Component
from bfc.targets.radius_laws import RadiusLaw
from bfc.types import Target


class LevelComposition(Target, Protocol):
    """A composition of levels, each of which reads levels below it."""

    @property
    def L(self) -> int:
        """Depth: the levels are 2..L."""
        ...

    @property
    def law(self) -> object:
        """The law of the inputs."""
        ...

    def below(self, level: int) -> Sequence[int]:
        """The levels that ``level`` reads, the one right below it first (0: x, 1: x^2 - 1)."""
        ...

    def width(self, level: int) -> int:
        """Number of coordinates of ``level``."""
        ...


class RadialTarget(Target, Protocol):
    """A target that depends on the norm of its input alone."""

    @property
    def radius_law(self) -> RadiusLaw:
        """The law of the norm."""
        ...

    def value(self, r: Tensor) -> Tensor:
        """The profile at the radii ``r``, any shape; its mean is not subtracted."""
        ...


class ImageTarget(Target, Protocol):
    """A target whose inputs are images."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        ...


class HarmonicTarget(Target, Protocol):
    """A target whose variance is known exactly in every degree."""

    def harmonics(self) -> tuple[Component, ...]:
        """The share of Var f* in every degree, with the dimension of that degree."""
        ...


def composes_levels(target: Target) -> TypeGuard[LevelComposition]:
    """Whether ``target`` is a :class:`LevelComposition`."""
    return hasattr(target, "below")


def is_radial(target: Target) -> TypeGuard[RadialTarget]:
    """Whether ``target`` is a :class:`RadialTarget`."""
    return hasattr(target, "radius_law")


def has_images(target: Target) -> TypeGuard[ImageTarget]:
    """Whether ``target`` is an :class:`ImageTarget`."""
    return hasattr(target, "shape")


def has_harmonics(target: Target) -> TypeGuard[HarmonicTarget]:
    """Whether ``target`` is a :class:`HarmonicTarget`."""
    return hasattr(target, "harmonics")


def input_law(target: Target) -> object | None:
    """The value of the key ``target.law``, or None for a target without that key."""
    return getattr(target, "law", None)
