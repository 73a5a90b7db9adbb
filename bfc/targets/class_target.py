"""Targets whose labels are classes: what trains a method on them, and what it is judged by.

A method answers with a score per class, and its answer is the class of the largest score. Two
classes are the labels ±1 and one score, as for a task of classification, so that every method that
answers with one number can be used on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from bfc.types import Target


def one_hot(classes: Tensor, outputs: int) -> Tensor:
    """Class numbers (...) → (..., outputs) bool; it reads no value on the host."""
    return classes.unsqueeze(-1) == torch.arange(outputs, device=classes.device)


class ClassTarget(Target):
    """A target with ``outputs`` classes, or with the two labels ±1 where ``outputs`` is 1.

    Labels (R, B) are class numbers 0 … outputs − 1; scores have the shape (R, B, outputs), or
    (R, B) for one output.
    """

    loss_by: Literal["cross_entropy", "squared"]
    """What trains: cross-entropy (logistic for one output), or squares against one-hot (±1)."""
    judged: Literal["zero_one", "squared"]
    """What is judged: the share of wrong classes, or squares as above."""

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        if self.loss_by == "squared":
            return self._squares(out, y)
        if self.outputs == 1:
            return torch.nn.functional.softplus(-y * out)
        return -(out.log_softmax(-1) * self._one_hot(out, y)).sum(-1)

    def error(self, out: Tensor, y: Tensor) -> Tensor:
        """Per row; scores that are NaN are wrong."""
        if self.judged == "squared":
            return self._squares(out, y)
        if self.outputs == 1:
            wrong = torch.where(out < 0, -1, 1) != y
            return wrong.logical_or(out.isnan()).to(out.dtype)
        return (out.argmax(-1) != y.long()).logical_or(out.isnan().any(-1)).to(out.dtype)

    def constant_error(self, shares: Sequence[float]) -> float:
        """Error of the best constant answer where the classes have these shares."""
        if self.judged == "zero_one":
            return 1 - max(shares)
        squares = sum(share * (1 - share) for share in shares)
        return 2 * squares if self.outputs == 1 else squares

    def _squares(self, out: Tensor, y: Tensor) -> Tensor:
        if self.outputs == 1:
            return (out - y).square()
        return (out - self._one_hot(out, y)).square().sum(-1)

    def _one_hot(self, out: Tensor, y: Tensor) -> Tensor:
        """Labels as one-hot vectors, by comparisons with numbers, which have a compiled form."""
        columns = [(y == k).to(out.dtype) for k in range(self.outputs)]
        return torch.stack(columns, -1)
