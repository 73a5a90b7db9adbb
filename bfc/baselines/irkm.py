"""The iteratively reweighted kernel machine: a kernel that learns which coordinates matter.

Zhu, Davis, Drusvyatskiy & Fazel (arXiv:2505.08277). It learns polynomials of finite leap from few
samples. It knows the coordinates in which f* is sparse, as the Lasso on monomials does, which
belongs beside it wherever it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.baselines.checks import NOT_NEGATIVE, check_value, integers_from
from bfc.baselines.feature_learner import FeatureLearner, Fit, solve_ridge
from bfc.baselines.learning_curve import BLOCK


@dataclass(frozen=True)
class IRKM(FeatureLearner):
    """Kernel ridge regression with K = exp(Σ_j w_j x_j z_j / d − 1), and ``rounds`` updates of w.

    From w = 1 on, every round fits f and sets w_j to the mean of (∂_j f)² over the training points,
    divided by the largest of these, plus ``floor``, all scaled to sum d. All samples are used in
    every round. The last fit predicts; with 0 rounds this is the fixed kernel. Raises
    :class:`bfc.errors.UserError` on invalid values.
    """

    identity_name: ClassVar[str] = "bfc.baselines.irkm.IRKM"

    rounds: int = 6
    floor: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_value("rounds", self.rounds, integers_from(0, 100))
        check_value("floor", self.floor, NOT_NEGATIVE)

    @property
    def label(self) -> str:
        return f"IRKM ({self.rounds} rounds)" if self.rounds else "fixed exponential kernel"

    def fit_seconds(self, n: int, width: int, test: int) -> float:
        per_pair = 1.0e-8 + 1.5e-10 * width
        return (self.rounds + 1) * (1.5e-11 * n**3 + per_pair * n * n) + per_pair * n * test

    def fit(self, x: Tensor, y: Tensor, x_test: Tensor, ridge: float) -> Fit:
        weights = torch.ones(x.shape[1], dtype=x.dtype, device=x.device)
        for _ in range(self.rounds):
            weights = self.next_weights(x, self.solve(x, y, weights, ridge), weights)
        alpha = self.solve(x, y, weights, ridge)
        parts = [self.gram(rows, x, weights) @ alpha for rows in torch.split(x_test, BLOCK)]
        order = weights.argsort(descending=True)
        identity = torch.eye(len(weights), dtype=x.dtype, device=x.device)
        return Fit(torch.cat(parts), identity[:, order] if self.rounds else None)

    def solve(self, x: Tensor, y: Tensor, weights: Tensor, ridge: float) -> Tensor:
        """α = (K + λI)⁻¹y, (n,)."""
        return solve_ridge(self.gram(x, x, weights), y, ridge)

    def gram(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """Kernel values of ``x`` (N, d) and ``z`` (M, d) → (N, M); about 1 at x = z."""
        return ((x * weights) @ z.mT).div_(x.shape[1]).sub_(1).exp_()

    def gradients(self, x: Tensor, alpha: Tensor, weights: Tensor) -> Tensor:
        """∇f at the rows of ``x`` (n, d), f = Σ_j α_j K(·, x_j) → (n, d)."""
        return self.gram(x, x, weights).mul_(alpha) @ x * (weights / x.shape[1])

    def next_weights(self, x: Tensor, alpha: Tensor, weights: Tensor) -> Tensor:
        """w of the next round, of sum d."""
        squares = self.gradients(x, alpha, weights).square().mean(0)
        updated = squares / squares.max() + self.floor
        return updated * (len(updated) / updated.sum())
