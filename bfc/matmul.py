"""Matrix products of a stack. On processors of AMD the library behind ``torch.bmm`` (MKL) stays on
AVX2; oneDNN, which torch carries as well, uses AVX-512 there and has about twice the rate, one
matrix at a time. So the products of wide networks go to oneDNN replica by replica, and everything
else – small products, other processors, float64, GPUs – to ``torch.bmm``. Which of the two follows
from shapes and the machine alone."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

LARGE = 1 << 21
"""Multiplications of one replica from which a call of its own pays (benchmarks/products.py)."""


def product(a: Tensor, b: Tensor) -> Tensor:
    """(R, M, K) by (R, K, N) → (R, M, N)."""
    if not _apart(a, b):
        return torch.bmm(a, b)
    return _Product.apply(a, b) if _differentiated(a, b) else _one_by_one(a, b)


def affine(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """c + a b, with c (R, 1, N) or (R, M, N)."""
    if not _apart(a, b):
        return torch.baddbmm(c, a, b)
    if c.shape[1] == 1 and not _differentiated(a, b, c):
        return torch.stack([one(x, y, row) for x, y, (row,) in zip(a, b, c, strict=True)])
    return product(a, b).add_(c)


def one(a: Tensor, b: Tensor, row: Tensor | None = None) -> Tensor:
    """(M, K) by (K, N), plus a row (N,), by oneDNN; float32 on a CPU."""
    return torch.ops.mkldnn._linear_pointwise(a, b.mT, row, "none", [], "")


@functools.cache
def faster() -> bool:
    """Whether oneDNN is the faster library of this machine."""
    from bfc.environment import hardware

    return (
        torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and "AMD" in hardware(torch.device("cpu"))
    )


def _apart(a: Tensor, b: Tensor) -> bool:
    return (
        a.device.type == "cpu"
        and a.dtype == torch.float32
        and a.shape[1] * a.shape[2] * b.shape[2] >= LARGE
        and faster()
    )


def _differentiated(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


def _one_by_one(a: Tensor, b: Tensor) -> Tensor:
    if len(a) == 1:
        return one(a[0], b[0]).unsqueeze(0)
    return torch.stack([one(x, y) for x, y in zip(a, b, strict=True)])


class _Product(torch.autograd.Function):
    """oneDNN's product with a reverse pass."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return _one_by_one(a, b)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        return (
            product(grad, b.mT) if ctx.needs_input_grad[0] else None,
            product(a.mT, grad) if ctx.needs_input_grad[1] else None,
        )
