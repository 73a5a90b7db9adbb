"""Random tensors in double precision, for tests of linear algebra."""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers of this shape."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
