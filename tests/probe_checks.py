"""What the tests of probes share: seeds, levels, random rotations and a comparison."""

from __future__ import annotations

import torch
from torch import Tensor

SEEDS = (0, 5, 9)
LEVELS = frozenset({"bias", "level2", "level3"})


def rotation(size: int) -> Tensor:
    generator = torch.Generator().manual_seed(size)
    normal = torch.randn(len(SEEDS), size, size, dtype=torch.float64, generator=generator)
    return torch.linalg.qr(normal)[0]


def close(actual: Tensor, expected, **tolerance) -> None:
    target_values = torch.as_tensor(expected, dtype=torch.float64).expand_as(actual)
    torch.testing.assert_close(actual, target_values, **({"rtol": 1e-6, "atol": 1e-8} | tolerance))
