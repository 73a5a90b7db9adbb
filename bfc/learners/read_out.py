"""The read-out of a network's last units, for one output and for several, and its reverse pass.

One output is a sum of products element by element, which a small network takes faster than a
product of matrices of one column. Weights are (R, units) for one output and (R, units, outputs) for
several; the constant is (R, 1) and (R, outputs).
"""

from __future__ import annotations

import torch
from torch import Tensor

from bfc.learners.initialiser import Initialiser
from bfc.matmul import affine, matmul


def initial_weights(initial: Initialiser, name: str, units: int, outputs: int) -> Tensor:
    """Standard normal weights of the stream ``init/<name>``."""
    shape = (units,) if outputs == 1 else (units, outputs)
    return initial.normal(name, *shape)


def read_constant(constant: Tensor, rows: int) -> Tensor:
    """Outputs (R, B) or (R, B, outputs) of a network without units."""
    if constant.shape[1] == 1:
        return constant.expand(-1, rows)
    return constant.unsqueeze(1).expand(-1, rows, -1)


def read_out(constant: Tensor, weights: Tensor, hidden: Tensor) -> Tensor:
    """Outputs (R, B) or (R, B, outputs) from units (R, B, units)."""
    if weights.dim() == 2:
        return (hidden * weights.unsqueeze(1)).sum(2) + constant
    return affine(constant.unsqueeze(1), hidden, weights)


def constant_gradient(slope: Tensor) -> Tensor:
    """Gradient of the constant from that of the outputs."""
    return slope.sum(1, keepdim=slope.dim() == 2)


def weight_gradient(slope: Tensor, hidden: Tensor) -> Tensor:
    """Gradient of the weights from that of the outputs, (R, B) or (R, B, outputs)."""
    if slope.dim() == 2:
        return torch.bmm(slope.unsqueeze(1), hidden).squeeze(1)
    return matmul(hidden.mT, slope)


def unit_gradient(slope: Tensor, weights: Tensor) -> Tensor:
    """Gradient of the units (R, B, units) from that of the outputs."""
    if slope.dim() == 2:
        return slope.unsqueeze(2) * weights.unsqueeze(1)
    return matmul(slope, weights.mT)
