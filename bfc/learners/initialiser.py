"""Initial tensors for a stack, each replica's from streams of its own seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bfc import random
from bfc.types import Draw


@dataclass(frozen=True)
class Initialiser:
    """Makes parameters (R, ...) of one number type on one device."""

    seeds: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    prefix: str = ""
    """What the names of streams begin with: another one is another start of the same seed."""

    @classmethod
    def like_inputs(cls, draw: Draw) -> Initialiser:
        """With the number type and device of the inputs that a method is given."""
        rows = torch.zeros(len(draw.seeds), 1, dtype=torch.int64)
        return cls.like(draw, draw.encode(draw.inputs("reference", rows)))

    @classmethod
    def like(cls, draw: Draw, tensor: Tensor) -> Initialiser:
        """With the number type and device of ``tensor``."""
        return cls(tuple(draw.seeds), tensor.dtype, tensor.device)

    def normal(self, name: str, *shape: int) -> Tensor:
        """Standard normal numbers of the stream ``init/<prefix><name>``, (R, \\*shape)."""
        role = f"init/{self.prefix}{name}"
        return random.normal(self.seeds, role, shape, self.dtype, self.device)

    def symmetric_uniform(self, name: str, count: int) -> Tensor:
        """Numbers of U[−1, 1] in the stream ``init/<name>``, (R, count)."""
        keys = random.keys(self.seeds, f"init/{name}", self.device).unsqueeze(1)
        index = torch.arange(count, device=self.device)
        return 2 * random.uniform(keys, index, self.dtype) - 1

    def zeros(self, *shape: int) -> Tensor:
        """Zeros, (R, \\*shape)."""
        return torch.zeros(len(self.seeds), *shape, dtype=self.dtype, device=self.device)

    def ones(self, *shape: int) -> Tensor:
        """Ones, (R, \\*shape)."""
        return torch.ones(len(self.seeds), *shape, dtype=self.dtype, device=self.device)

    def repeat(self, values: Sequence[float]) -> Tensor:
        """The same numbers for every replica, (R, len(values))."""
        row = torch.tensor(values, dtype=self.dtype, device=self.device)
        return row.repeat(len(self.seeds), 1)
