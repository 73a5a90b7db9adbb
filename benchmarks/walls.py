"""What no program on this machine can pass, so that every figure can be read as a share of a limit.

The limits are the measured rate of a large matrix product and of a large copy, and the rate of the
products of one optimizer step and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bfc import matmul


def clock(device: torch.device) -> float:
    """Seconds: CPU time of the process, so that another program does not enter.

    On a GPU it is the wall time when its work is done.
    """
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def rate(
    work: Callable[[], Any], amount: float, device: torch.device, seconds: float = 0.5
) -> float:
    """Amount per second of ``work`` repeated, after a warm-up.

    Several calls are made between two readings of the clock.
    """
    for budget in (seconds / 5, seconds):
        done, calls, start, elapsed = 0, 1, clock(device), 0.0
        while elapsed < budget:
            for _ in range(calls):
                work()
            done += calls
            if elapsed < budget / 8:
                calls = min(2 * calls, 256)
            elapsed = clock(device) - start
    return amount * done / elapsed


def product_rate(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations per second of a large matrix product.

    It is made by the fastest library that the stack uses, on one thread of a CPU. TF32 is off in
    torch by default.
    """
    size = 1024 if device.type == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)
    plain = rate(lambda: torch.mm(a, b, out=out), 2 * size**3, device)
    if device.type != "cpu" or dtype != torch.float32 or not matmul.prefers_onednn():
        return plain
    return max(plain, rate(lambda: matmul.onednn_matmul(a, b), 2 * size**3, device))


def copy_rate(device: torch.device) -> float:
    """Bytes read and written per second by a copy far larger than any cache."""
    source = torch.ones(1 << (26 if device.type == "cpu" else 29), device=device)
    target = torch.empty_like(source)
    return rate(lambda: target.copy_(source), 2 * source.nbytes, device)


def products_alone(
    pairs: list[tuple[Tensor, Tensor]], device: torch.device, seconds: float
) -> float:
    """Rounds per second of nothing but these products.

    Single matrices on a CPU go to oneDNN, by which the stack computes them.
    """
    outs = [a @ b for a, b in pairs]

    def work() -> None:
        for (a, b), out in zip(pairs, outs, strict=True):
            if a.dim() == 2 and device.type == "cpu":
                matmul.onednn_matmul(a, b)
            else:
                torch.matmul(a, b, out=out)

    return rate(work, 1.0, device, seconds)
