"""Replicas as lanes: the tensors of a stack in the layout of generated code, and back.

Replicas stand in groups, of as many as a vector register has lanes. A group that is not full
repeats the last replica.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bfc.shapes import Float, Int
from bfc.types import Params


@dataclass(frozen=True)
class LaneLayout:
    """How R replicas stand in groups of ``group_size`` lanes."""

    replicas: list[int]
    """Replica of every lane of every group."""
    selection: Int[Tensor, " lanes"]
    """The same as a tensor, so that a GPU is not waited for where it selects."""
    group_size: int

    @classmethod
    def of(cls, count: int, group_size: int, device: torch.device) -> LaneLayout:
        """The layout of ``count`` replicas."""
        lanes = -(-count // group_size) * group_size
        replicas = [min(lane, count - 1) for lane in range(lanes)]
        return cls(replicas, torch.tensor(replicas, device=device), group_size)

    @property
    def groups(self) -> int:
        return len(self.replicas) // self.group_size

    def lay_out(self, values: Float[Tensor, "R K"]) -> Float[Tensor, "G K lanes"]:
        """Replicas as lanes."""
        grouped = values[self.selection].view(-1, self.group_size, values.shape[1])
        return grouped.transpose(1, 2).contiguous()

    def lay_out_rows(self, rows: Int[Tensor, "k L B"]) -> Int[Tensor, "G k B lanes"]:
        """Numbers of rows for k steps of all L lanes."""
        count, _, size = rows.shape
        grouped = rows.view(count, -1, self.group_size, size)
        return grouped.permute(1, 0, 3, 2).contiguous()


def to_replicas(values: Float[Tensor, "G K lanes"], count: int) -> Float[Tensor, "R K"]:
    """The numbers of the first ``count`` lanes, which are those of the replicas."""
    return values.transpose(1, 2).flatten(0, 1)[:count]


def flatten(values: Params, names: Sequence[str]) -> Float[Tensor, "R K"]:
    """The values of each replica in one row."""
    return torch.cat([values[name].flatten(1) for name in names], 1)
