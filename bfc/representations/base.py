"""What every representation shares: the target seen through features h(x) that are fixed per seed
before training. A representation gives the features' width and, per seed, the tensors they are made
of; features are whitened, if asked for, on unlabelled inputs of a stream of their own, of which a
sum of outer products is all that is ever kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bfc.targets.wrapped import Wrapped, WrappedDraw
from bfc.types import Draw, Target

CHUNK_BYTES = 64 << 20
"""Features that are held at a time."""


class Representation(ABC):
    """Base of the frozen dataclasses under :mod:`bfc.representations`: a
    :class:`bfc.types.TargetWrapper`."""

    def wrap(self, target: Target) -> Target:
        self.check(target)
        return Represented(target, self)

    def check(self, target: Target) -> None:  # noqa: B027
        """Refuse a target this representation does not fit (:class:`bfc.errors.UserError`)."""

    @abstractmethod
    def output_width(self, target: Target) -> int:
        """Number of features that a method is given."""

    @abstractmethod
    def build(self, target: Target, draw: Draw) -> dict[str, Tensor]:
        """Per seed what the features are made of, name → (R, ...)."""

    @abstractmethod
    def encode(self, target: Target, parts: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """h(x), (R, B, d) → (R, B, width)."""

    def facts(self, target: Target) -> Mapping[str, Any]:
        """What a reader of a stored configuration should see, beside the width."""
        return {}


@dataclass(frozen=True)
class Represented(Wrapped):
    """A target whose inputs methods see through a representation."""

    @property
    def input_width(self) -> int:
        return self.lens.output_width(self.target)

    def facts(self) -> Mapping[str, Any]:
        return {**self.target.facts(), "width": self.input_width, **self.lens.facts(self.target)}

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Draw:
        inner = self.target.draw(seeds, dtype, device)
        return RepresentedDraw(inner, self.lens, self.target, self.lens.build(self.target, inner))


@dataclass(frozen=True)
class RepresentedDraw(WrappedDraw):
    """The draw with the features' tensors, R first."""

    target: Target
    parts: Mapping[str, Tensor]

    def encode(self, x: Tensor) -> Tensor:
        return self.lens.encode(self.target, self.parts, self.inner.encode(x))

    def select(self, index: Sequence[int]) -> RepresentedDraw:
        return replace(
            self,
            inner=self.inner.select(index),
            parts={name: p[list(index)] for name, p in self.parts.items()},
        )


def degree2_dimension(d: int) -> int:
    """P2 = (d+1)(d+2)/2 − 1, the dimension of degree ≤ 2 on the sphere, the constant included."""
    return (d + 1) * (d + 2) // 2 - 1


def rows_at_a_time(width: int, dtype: torch.dtype) -> int:
    """Rows of ``width`` features that fill :data:`CHUNK_BYTES`."""
    return max(16, CHUNK_BYTES // (width * torch.finfo(dtype).bits // 8))
