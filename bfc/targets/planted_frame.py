"""Draws of targets that read a Gaussian x along a planted frame of directions alone."""

from __future__ import annotations

from torch import Tensor

from bfc import random
from bfc.types import Draw


class PlantedFrameDraw(Draw):
    """A draw whose labels depend on x ~ N(0, I_d) through Wx alone, W orthonormal."""

    frame: Tensor
    """W, orthonormal rows (R, k, d)."""

    @property
    def planted_subspace(self) -> Tensor:
        return self.frame.mT

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        d = self.frame.shape[-1]
        keys = random.keys(self.seeds, f"inputs/{d}/{role}", self.frame.device)
        return random.normal_rows(keys, rows.to(keys.device), d, self.frame.dtype)
