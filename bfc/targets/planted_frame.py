"""Targets that read a Gaussian x along planted orthonormal directions alone, and their draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from bfc import random
from bfc.types import NOTHING_REVEALED, Draw, Revealed, Target


def draw_frame(seeds: Sequence[int], d: int, k: int) -> Tensor:
    """k random orthonormal rows in d dimensions per seed, (R, k, d), float64."""
    raw = random.normal(seeds, f"target/{d}/frame", (d, k), torch.float64)
    frame: Tensor = torch.linalg.qr(raw)[0].mT
    return frame


@dataclass(frozen=True)
class PlantedFrameDraw(Draw):
    """A draw whose labels depend on x ~ N(0, I_d) through Wx alone, W orthonormal.

    A subclass names its target, whose labels and features it computes.
    """

    target: Target
    seeds: tuple[int, ...]
    frame: Tensor
    """W, orthonormal rows (R, k, d)."""
    revealed: Revealed = NOTHING_REVEALED

    @property
    def planted_subspace(self) -> Tensor:
        return self.frame.mT

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        d = self.frame.shape[-1]
        keys = random.keys(self.seeds, f"inputs/{d}/{role}", self.frame.device)
        return random.normal_rows(keys, rows.to(keys.device), d, self.frame.dtype)

    def select(self, index: Sequence[int]) -> Self:
        return replace(
            self, seeds=tuple(self.seeds[i] for i in index), frame=self.frame[list(index)]
        )
