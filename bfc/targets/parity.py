"""A product of a few coordinates, the plainest target with known answers.

A rotation-invariant kernel needs about d^degree samples (with the kernel (1 + x.z/d)^4 and degree
2, n* / C(d, 2) tends to a constant), and there is no hierarchy to learn. It is the oracle that
measurement and kernels are tested on, and the example to copy when adding a target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets.capabilities import InputLawTarget
from bfc.targets.kernel_rate import kernel_rate
from bfc.types import NOTHING_REVEALED, Draw, Revealed, Theory


@dataclass(frozen=True)
class Parity(InputLawTarget):
    """f*(x) = x_{s(1)} ... x_{s(k)}, a random set s per seed; Var f* = 1.

    Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.targets.parity.Parity"
    version: ClassVar[int] = 1

    d: int
    """Input dimension."""
    degree: int = 2
    """k, the number of coordinates."""
    law: Literal["sign", "gaussian"] = "sign"
    """Coordinates are independent signs or standard normal."""

    def __post_init__(self) -> None:
        require(1 <= self.d <= 1 << 20, "target.d", self.d, "an integer from 1 to 1048576")
        require(
            1 <= self.degree <= self.d,
            "target.degree",
            self.degree,
            f"an integer from 1 to target.d = {self.d}",
        )

    @property
    def levels(self) -> tuple[int, ...]:
        return ()

    def theory(self) -> Mapping[str, Theory]:
        return {"kernel": kernel_rate(self.degree)}

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> ParityDraw:
        keys = random.keys(seeds, f"target/{self.d}/set").unsqueeze(1)
        order = random.uniform(keys, torch.arange(self.d)).argsort(1)
        return ParityDraw(self, tuple(seeds), order[:, : self.degree].to(device), dtype)


@dataclass(frozen=True)
class ParityDraw(Draw):
    """R realisations of a :class:`Parity`; see :class:`bfc.types.Draw`."""

    target: Parity
    seeds: tuple[int, ...]
    coordinates: Tensor
    """s, (R, degree), int64."""
    dtype: torch.dtype
    revealed: Revealed = NOTHING_REVEALED

    @property
    def variance(self) -> Tensor:
        return torch.ones(len(self.seeds), dtype=torch.float64)

    @property
    def planted_subspace(self) -> Tensor:
        """The unit vectors of the coordinates in s."""
        return torch.nn.functional.one_hot(self.coordinates, self.target.d).mT.to(self.dtype)

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        keys = random.keys(self.seeds, f"inputs/{self.target.d}/{role}", self.coordinates.device)
        x = random.normal_rows(keys, rows.to(keys.device), self.target.d, self.dtype)
        return x if self.target.law == "gaussian" else x.sign_()

    def labels(self, x: Tensor) -> Tensor:
        index = self.coordinates.unsqueeze(1).expand(-1, x.shape[1], -1)
        return x.gather(2, index).prod(2)

    def features(self, x: Tensor) -> dict[int, Tensor]:
        return {}

    def select(self, index: Sequence[int]) -> ParityDraw:
        return replace(
            self,
            seeds=tuple(self.seeds[i] for i in index),
            coordinates=self.coordinates[list(index)],
        )
