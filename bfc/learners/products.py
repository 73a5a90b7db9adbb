"""All products of the features of a level, and their reverse pass."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


@lru_cache(maxsize=64)
def square_positions(p: int, device: torch.device) -> Tensor:
    """Positions of the squares s_i s_i among the products i <= j of p features.

    The i-th comes after i rows of p, p - 1, ... products.
    """
    i = torch.arange(p, device=device)
    return i * p - i * (i - 1) // 2


def products(s: Tensor) -> Tensor:
    """(R, p, B) → all products s_i s_j, i <= j, (R, p(p+1)/2, B), ordered by i."""
    p, start = s.shape[1], 0
    phi = s.new_empty(s.shape[0], p * (p + 1) // 2, s.shape[2])
    for i in range(p):
        torch.mul(s[:, i : i + 1], s[:, i:], out=phi[:, start : start + p - i])
        start += p - i
    return phi


def products_reverse(s: Tensor, grad: Tensor) -> Tensor:
    """Gradient with respect to ``s`` from that with respect to :func:`products`.

    In slices of contiguous rows, where the reverse pass of two gathers would scatter.
    """
    p, start = s.shape[1], 0
    out = torch.zeros_like(s)
    for i in range(p):
        with_i = grad[:, start : start + p - i]
        out[:, i:].addcmul_(with_i, s[:, i : i + 1])
        out[:, i] += (with_i * s[:, i:]).sum(1)
        start += p - i
    return out


class Products(torch.autograd.Function):
    """:func:`products` under automatic differentiation."""

    @staticmethod
    def forward(ctx: Any, s: Tensor) -> Tensor:
        ctx.save_for_backward(s)
        return products(s)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (s,) = ctx.saved_tensors
        return products_reverse(s, grad)


def differentiable_products(s: Tensor) -> Tensor:
    """:func:`products`, with its own reverse pass under automatic differentiation."""
    phi: Tensor = Products.apply(s)  # type: ignore[no-untyped-call]
    return phi
