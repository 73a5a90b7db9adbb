"""Numbers that a step reads beside its inputs, the same in every step and for every replica."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bfc.engine.compiled.refusal import CannotCompile


@dataclass(frozen=True)
class Table:
    """Numbers that are the same in every step and have no replica axis."""

    tensor: Tensor


def fixed_positions(positions: Sequence[Table | None]) -> tuple[int, list[int]]:
    """The axis of the stack that is read at positions from a table, and the positions."""
    axes = [axis for axis, table in enumerate(positions) if table is not None]
    table = positions[axes[0]]
    if len(axes) != 1 or not isinstance(table, Table) or table.tensor.dim() != 1:
        raise CannotCompile("its step reads at positions that are computed")
    if table.tensor.dtype == torch.bool:
        raise CannotCompile("its step reads where a mask is true")
    return axes[0], table.tensor.tolist()
