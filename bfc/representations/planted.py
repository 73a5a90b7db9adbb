"""The inputs along the directions that a target plants, and along no others.

An oracle, not a method: it says what is left to learn once the subspace is known, so that the gain
of depth on top of it is told apart from the gain of finding it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError
from bfc.representations.base import Representation
from bfc.types import Draw, Target


@dataclass(frozen=True)
class Planted(Representation):
    """h(x) = Wx, W the planted orthonormal directions of the draw.

    Raises :class:`bfc.errors.UserError` for a target that plants no directions.
    """

    identity_name: ClassVar[str] = "bfc.representations.planted.Planted"
    version: ClassVar[int] = 1

    def check(self, target: Target) -> None:
        if target.draw([0]).planted_subspace is None:
            raise UserError(
                "representation=planted: needs a target that depends on few directions, such as "
                f"target=sight, not {type(target.unwrapped).__name__} with target.d={target.d}; "
                "allowed: representation=raw"
            )

    def output_width(self, target: Target) -> int:
        return self._directions(target.draw([0])).shape[2]

    def build(self, target: Target, draw: Draw) -> dict[str, Tensor]:
        return {"directions": self._directions(draw).contiguous()}

    def encode(self, target: Target, parts: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return torch.bmm(x, parts["directions"])

    @staticmethod
    def _directions(draw: Draw) -> Tensor:
        """W', (R, d, k)."""
        directions = draw.planted_subspace
        assert directions is not None, "refused by check"
        return directions
