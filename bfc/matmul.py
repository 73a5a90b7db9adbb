"""Matrix products of a stack of replicas.

On processors of AMD the library behind ``torch.bmm`` (MKL) stays on AVX2; oneDNN, which torch
carries as well, uses AVX-512 there and has about twice the rate, one matrix at a time. So the
products of wide networks go to oneDNN replica by replica, and everything else – small products,
other processors, float64, GPUs – to ``torch.bmm``. Which of the two is used follows from shapes and
the machine alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from bfc.environment import hardware

MIN_ONEDNN_MULTIPLICATIONS = 1 << 21
"""Multiplications per replica from which oneDNN is used (benchmarks/products.py)."""

_may_use_onednn = ContextVar("may_use_onednn", default=True)


@contextmanager
def stacked_products() -> Iterator[None]:
    """Let all products be of whole stacks, as what is traced for a stack of any size has to be."""
    token = _may_use_onednn.set(False)
    try:
        yield
    finally:
        _may_use_onednn.reset(token)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a b for a (R, M, K) and b (R, K, N); (R, M, N)."""
    if not _uses_onednn(a, b):
        return torch.bmm(a, b)
    return _differentiable_matmul(a, b) if _needs_gradient(a, b) else onednn_bmm(a, b)


def affine(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """c + a b for c (R, 1, N) or (R, M, N), a (R, M, K) and b (R, K, N); (R, M, N)."""
    if not _uses_onednn(a, b):
        return torch.baddbmm(c, a, b)
    if c.shape[1] == 1 and not _needs_gradient(a, b, c):
        return torch.stack([onednn_matmul(x, y, row) for x, y, (row,) in zip(a, b, c, strict=True)])
    return matmul(a, b).add_(c)


def onednn_matmul(a: Tensor, b: Tensor, row: Tensor | None = None) -> Tensor:
    """a b + row by oneDNN, for a (M, K), b (K, N) and ``row`` (N,); float32 on a CPU."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.mT, row, "none", [], "")
    return result


def onednn_bmm(a: Tensor, b: Tensor) -> Tensor:
    """a b by oneDNN, replica by replica, for a (R, M, K) and b (R, K, N)."""
    if len(a) == 1:
        return onednn_matmul(a[0], b[0]).unsqueeze_(0)  # a view may not be changed in place
    return torch.stack([onednn_matmul(x, y) for x, y in zip(a, b, strict=True)])


@functools.cache
def prefers_onednn() -> bool:
    """Whether oneDNN is the faster library of this machine."""
    backends: Any = torch.backends
    return (
        backends.mkl.is_available()
        and backends.mkldnn.is_available()
        and has_onednn_matmul()
        and backends.cpu.get_cpu_capability() == "AVX512"
        and "AMD" in hardware(torch.device("cpu"))
    )


def has_onednn_matmul() -> bool:
    """Whether this torch has the operator of oneDNN that is called here."""
    return hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _uses_onednn(a: Tensor, b: Tensor) -> bool:
    """Whether a product of these shapes goes to oneDNN."""
    return (
        a.device.type == "cpu"
        and a.dtype == torch.float32
        and a.shape[1] * a.shape[2] * b.shape[2] >= MIN_ONEDNN_MULTIPLICATIONS
        and prefers_onednn()
        and _may_use_onednn.get()
    )


def _needs_gradient(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


class _OnednnMatmul(torch.autograd.Function):
    """The product by oneDNN with its reverse pass."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return onednn_bmm(a, b)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        grad_a = matmul(grad, b.mT) if ctx.needs_input_grad[0] else None
        grad_b = matmul(a.mT, grad) if ctx.needs_input_grad[1] else None
        return grad_a, grad_b


_differentiable_matmul: Callable[[Tensor, Tensor], Tensor] = _OnednnMatmul.apply
