"""The vectors in which replicas stand side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from llvmlite import ir


@dataclass(frozen=True)
class Lanes:
    """Vectors of one number per replica."""

    count: int
    dtype: torch.dtype

    @property
    def scalar(self) -> ir.Type:
        return ir.FloatType() if self.dtype == torch.float32 else ir.DoubleType()

    @property
    def vector(self) -> ir.VectorType:
        return ir.VectorType(self.scalar, self.count)

    @property
    def suffix(self) -> str:
        """The type in the names of LLVM's intrinsics."""
        return f"v{self.count}f{torch.finfo(self.dtype).bits}"
