"""Exact learning curves of kernel ridge regression, the reference for hierarchical learners.

For a fixed kernel and ridge, one Cholesky factorisation holds the predictor of every nested
training set at once: with K + λI = LLᵀ, z = L⁻¹y and W = L⁻¹k(X, x), the prediction at x from the
first n points is Σ_{i≤n} W_i(x) z_i, because the leading n × n block of L is the factor of the
leading block of K + λI. So no search over n is ever run here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bfc.baselines.panels import cholesky

BLOCK = 1024
"""Test rows that are computed and solved for at a time."""


def squared(predicted: Tensor, truth: Tensor) -> Tensor:
    """(predicted − truth)²"""
    return (predicted - truth).square_()


@dataclass(frozen=True)
class CurveLabels:
    """What a learning curve is fitted to and judged by."""

    y: Tensor
    """Labels of the training rows, (N,), or one column per output, (N, outputs)."""
    f_test: Tensor
    """The noiseless target at the test rows, (T,)."""
    chance: float
    """The error of the best constant (the variance of f*)."""
    error: Callable[[Tensor, Tensor], Tensor] = squared
    """Of predictions (T, len(n)), or (T, len(n), outputs), against f* (T, 1)."""


def learning_curve(
    kernel: Tensor | Sequence[Tensor],
    cross: Tensor | Iterable[Tensor],
    labels: CurveLabels,
    ridge: float,
    n: Sequence[int] | None = None,
    overwrite: bool = False,
) -> Tensor:
    """Relative risk of kernel ridge regression on the first n training points, for every n given.

    The estimator is k(x, X_n)(K_n + λI)⁻¹y_n. Arguments:

    - ``kernel`` (N, N) over the training inputs, whole or as its panels
      (:mod:`bfc.baselines.panels`); it is left untouched unless ``overwrite``.
    - ``cross`` (T, N) from test to training inputs, whole or as an iterable of consecutive row
      blocks, of which only one is held at a time.
    - ``labels`` of the training and test rows.
    - ``ridge``: λ.
    - ``n``: values in 1 … N, or None for every n from 1 to N.

    Returns the mean error over test rows, divided by the chance, shape (len(n),). Cost: N³/3 + T N²
    floating-point operations. Raises :class:`bfc.errors.UserError` where K + λI is numerically
    singular (see :func:`bfc.baselines.panels.cholesky`) and ValueError where shapes do not fit.
    Source: leading blocks of the Cholesky factor, Golub & Van Loan, Matrix Computations (4th ed.),
    §4.2.
    """
    y, f_test = labels.y, labels.f_test
    if n is not None and not (len(n) and 1 <= min(n) and max(n) <= len(y)):
        raise ValueError(f"n must hold values in 1 ... {len(y)}")
    factor = cholesky(kernel, ridge, overwrite)
    z = factor.solve(y.unsqueeze(1) if y.dim() == 1 else y)
    columns = None if n is None else torch.tensor(n, device=y.device) - 1
    total = y.new_zeros(len(y) if n is None else len(n))
    done = 0
    for block in torch.split(cross, BLOCK) if isinstance(cross, Tensor) else cross:
        predicted = _predict(factor.solve(block.mT).mT, z, columns)
        predicted = predicted.squeeze(2) if y.dim() == 1 else predicted
        total += labels.error(predicted, f_test[done : done + len(block), None]).sum(0)
        done += len(block)
    if done != len(f_test):
        raise ValueError(f"cross has {done} rows but f_test {len(f_test)}")
    return total / (done * labels.chance)


def _predict(w: Tensor, z: Tensor, columns: Tensor | None) -> Tensor:
    """Predictions from every n, or from those of ``columns`` + 1: (T, len(n), outputs).

    ``w`` W (T, N), overwritten; ``z`` (N, outputs).
    """
    outputs = []
    for k, column in enumerate(z.mT):
        is_last = k == z.shape[1] - 1
        predicted = (w.mul_(column) if is_last else w * column).cumsum_(1)
        outputs.append(predicted if columns is None else predicted.index_select(1, columns))
    return torch.stack(outputs, 2)
