"""The base of representations: a target seen through features h(x) fixed per seed before training.

A representation gives the number of features and, per seed, the tensors that they are made of.
Features may be whitened on unlabelled inputs of a stream of their own, of which only a sum of outer
products is held in memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from bfc.targets.wrapped import Wrapped, WrappedDraw
from bfc.types import Draw, Target, TargetWrapper

CHUNK_BYTES = 64 << 20
"""Bytes of features in memory at a time."""


class Representation(TargetWrapper, ABC, config_key="representation"):
    """Base of the frozen dataclasses here."""

    def wrap(self, target: Target) -> Target:
        """The target with the features as inputs.

        Raises :class:`bfc.errors.UserError` for a target this representation does not fit.
        """
        self.check(target)
        return Represented(target, self).as_target()

    def check(self, target: Target) -> None:
        """Refuse a target this representation does not fit (:class:`bfc.errors.UserError`)."""

    @abstractmethod
    def output_width(self, target: Target) -> int:
        """Number of features that a method is given."""

    @abstractmethod
    def build(self, target: Target, draw: Draw) -> dict[str, Tensor]:
        """The tensors that the features are made of, name → (R, ...)."""

    @abstractmethod
    def encode(self, target: Target, parts: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """h(x), (R, B, d) → (R, B, width)."""

    def facts(self, target: Target) -> Mapping[str, Any]:
        """What a reader of a stored configuration should see besides the width."""
        return {}


@dataclass(frozen=True)
class Represented(Wrapped[Representation]):
    """A target whose inputs methods see through a representation."""

    @property
    def input_width(self) -> int:
        return self.wrapper.output_width(self.target)

    def facts(self) -> Mapping[str, Any]:
        facts = dict(self.target.facts())
        facts["width"] = self.input_width
        return facts | dict(self.wrapper.facts(self.target))

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Draw:
        inner = self.target.draw(seeds, dtype, device)
        parts = self.wrapper.build(self.target, inner)
        return RepresentedDraw(inner, self.wrapper, self.target, parts).as_draw()


@dataclass(frozen=True)
class RepresentedDraw(WrappedDraw[Representation]):
    """The draw with the features' tensors, R first."""

    target: Target
    parts: Mapping[str, Tensor]

    def encode(self, x: Tensor) -> Tensor:
        return self.wrapper.encode(self.target, self.parts, self.inner.encode(x))

    @property
    def planted_subspace(self) -> None:
        """None: directions of x are no directions of its features."""

    @property
    def planted_forms(self) -> None:
        """None, as :attr:`planted_subspace`."""

    def select(self, index: Sequence[int]) -> Self:
        parts = {name: part[list(index)] for name, part in self.parts.items()}
        return replace(self, inner=self.inner.select(index), parts=parts)


def degree2_dimension(d: int) -> int:
    """P2 = (d+1)(d+2)/2 − 1, the dimension of degree ≤ 2 on the sphere, the constant included."""
    return (d + 1) * (d + 2) // 2 - 1


def rows_at_a_time(width: int, dtype: torch.dtype) -> int:
    """Rows of ``width`` features that fill :data:`CHUNK_BYTES`."""
    return max(16, CHUNK_BYTES // (width * torch.finfo(dtype).bits // 8))
