"""How much of what a target plants a method has found: the quantity behind n*_feature."""

from __future__ import annotations

import torch
from torch import Tensor


def subspace_overlap(learned: Tensor, planted: Tensor) -> float:
    """|U'W|_F² / k in [0, 1] for the spans of columns ``learned`` (d, m) and ``planted`` (d, k).

    U and W are orthonormal bases of the two. 1: the planted span is contained in the learned one;
    a random span of m directions has m / d on average.
    """
    u = torch.linalg.qr(learned)[0]
    w = torch.linalg.qr(planted)[0]
    return float((u.mT @ w).square().sum() / w.shape[1])


def form_overlap(learned: Tensor, planted: Tensor) -> float:
    """The same for the spans of symmetric matrices ``learned`` (m, d, d), ``planted`` (p, d, d)."""
    return subspace_overlap(learned.flatten(1).mT, planted.flatten(1).mT)
