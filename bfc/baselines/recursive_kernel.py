"""Kernel ridge regression whose kernel is adapted, round after round, to its last fit.

What the recursive feature machine and the reweighted kernel machine have in common. They differ in
the kernel, and in how gradients of a fit become the metric of the next kernel.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.baselines.checks import check_value, integers_from
from bfc.baselines.feature_learner import FeatureLearner, Fit, solve_ridge
from bfc.baselines.learning_curve import BLOCK


@dataclass(frozen=True, kw_only=True)
class RecursiveKernel(FeatureLearner):
    """f = Σ_j α_j K(·, x_j), α = (K + λI)⁻¹y, fitted ``rounds`` + 1 times.

    After all fits but the last one the metric of K is learned from the gradients of f at the
    training points; the last one predicts. The metric is not judged on validation data. With 0
    rounds this is a fixed kernel, which learns no directions. Classes are fitted as one-hot
    vectors with one metric, learned from the gradients of all outputs. Raises
    :class:`bfc.errors.UserError` on invalid values.
    """

    supports_multi_output: ClassVar[bool] = True

    rounds: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_value("rounds", self.rounds, integers_from(0, 100))

    @abstractmethod
    def first_metric(self, x: Tensor) -> Tensor:
        """The metric that prefers no direction, for inputs ``x`` (n, d)."""

    @abstractmethod
    def gram(self, x: Tensor, z: Tensor, metric: Tensor) -> Tensor:
        """Kernel values of ``x`` (N, d) and ``z`` (M, d) → (N, M)."""

    @abstractmethod
    def gradients(self, x: Tensor, alpha: Tensor, metric: Tensor) -> Tensor:
        """∇f at the rows of ``x`` (n, d) → (n, d).

        For α (n, outputs) those of one output after the other, (outputs n, d).
        """

    @abstractmethod
    def next_metric(self, x: Tensor, alpha: Tensor, metric: Tensor) -> Tensor:
        """The metric of the next round from the fit ``alpha`` in the metric of this one."""

    @abstractmethod
    def leading_directions(self, metric: Tensor) -> Tensor:
        """Orthonormal directions of the inputs, the one with the largest weight first, (d, d)."""

    @abstractmethod
    def pair_seconds(self, width: int) -> float:
        """Seconds of one core per pair of points and round, for inputs of ``width`` coordinates."""

    def fit_seconds(self, n: int, width: int, test: int) -> float:
        per_pair = self.pair_seconds(width)
        return (self.rounds + 1) * (1.5e-11 * n**3 + per_pair * n * n) + per_pair * n * test

    def fit(self, x: Tensor, y: Tensor, x_test: Tensor, ridge: float) -> Fit:
        metric = self.first_metric(x)
        for _ in range(self.rounds):
            metric = self.next_metric(x, self.solve(x, y, metric, ridge), metric)
        alpha = self.solve(x, y, metric, ridge)
        parts = [self.gram(rows, x, metric) @ alpha for rows in torch.split(x_test, BLOCK)]
        directions = self.leading_directions(metric) if self.rounds else None
        return Fit(torch.cat(parts), directions)

    def solve(self, x: Tensor, y: Tensor, metric: Tensor, ridge: float) -> Tensor:
        """α = (K + λI)⁻¹y, (n,), or (n, outputs) for y (n, outputs)."""
        return solve_ridge(self.gram(x, x, metric), y, ridge)


def columns_of(alpha: Tensor) -> Tensor:
    """The coefficients of every output, (outputs, n), from α (n,) or (n, outputs)."""
    return alpha.view(len(alpha), -1).mT
