"""The k-fold tent map (Telgarsky, arXiv:1509.08101 and 1602.04485).

m(t) = 2t below 1/2 and 2 − 2t above, composed k times, is a sawtooth of 2^(k−1) teeth. k pairs of
neurons in k layers compute it; few layers need exponentially many neurons in k. It is the plainest
hierarchy: every level is the same map of the one below, and k alone sets how hard it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets.capabilities import RevealedMean
from bfc.types import Draw, Target


@dataclass(frozen=True)
class Tent(Target):
    """f*(x) = m(m(... m(x_1))) − 1/2, ``folds`` times; x uniform on [0, 1]^d.

    Only x_1 matters. m keeps the uniform law, so the mean is 1/2 and Var f* = 1/12 for every k.

    Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.targets.tent.Tent"
    version: ClassVar[int] = 1

    d: int = 1
    """Input dimension."""
    folds: int = 3
    """k, the number of compositions."""

    def __post_init__(self) -> None:
        require(1 <= self.d <= 1 << 20, "target.d", self.d, "an integer from 1 to 1048576")
        require(
            1 <= self.folds <= 16,
            "target.folds",
            self.folds,
            "an integer from 1 to 16 (more is below single precision)",
        )

    @property
    def levels(self) -> tuple[int, ...]:
        """One per fold: level l is the (l − 1)-fold tent of x_1."""
        return tuple(range(2, self.folds + 2))

    @property
    def degree(self) -> int:
        return 0

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> TentDraw:
        mean = torch.full((len(seeds), 1), 0.5, dtype=dtype, device=device)
        return TentDraw(self, tuple(seeds), RevealedMean(mean))


@dataclass(frozen=True)
class TentDraw(Draw):
    """R realisations of a :class:`Tent`; see :class:`bfc.types.Draw`."""

    target: Tent
    seeds: tuple[int, ...]
    revealed: RevealedMean

    @property
    def variance(self) -> Tensor:
        return torch.full((len(self.seeds),), 1 / 12, dtype=torch.float64)

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        mean, d = self.revealed.mean, self.target.d
        keys = random.keys(self.seeds, f"inputs/{d}/{role}", mean.device).view(-1, 1, 1)
        index = rows.to(mean.device).unsqueeze(2) * d + torch.arange(d, device=mean.device)
        return random.uniform(keys, index, mean.dtype)

    def features(self, x: Tensor) -> dict[int, Tensor]:
        value = x[:, :, :1]
        levels = {}
        for level in self.target.levels:
            value = 1 - (2 * value - 1).abs()
            levels[level] = value
        return levels

    def labels(self, x: Tensor) -> Tensor:
        return self.features(x)[self.target.levels[-1]].squeeze(2) - self.revealed.mean

    def select(self, index: Sequence[int]) -> TentDraw:
        return replace(
            self,
            seeds=tuple(self.seeds[i] for i in index),
            revealed=self.revealed.select(index),
        )
