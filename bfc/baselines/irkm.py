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

from bfc.baselines.checks import NOT_NEGATIVE, check_value
from bfc.baselines.recursive_kernel import RecursiveKernel, columns_of


@dataclass(frozen=True)
class IRKM(RecursiveKernel):
    """Kernel ridge regression with K = exp(Σ_j w_j x_j z_j / d − 1), and ``rounds`` updates of w.

    From w = 1 on, every round fits f and sets w_j to the mean of (∂_j f)² over the training points
    (and outputs), divided by the largest of these, plus ``floor``, all scaled to sum d. Where all
    derivatives vanish w stays as it is. All samples are used in every round. Raises
    :class:`bfc.errors.UserError` on invalid values.
    """

    identity_name: ClassVar[str] = "bfc.baselines.irkm.IRKM"

    floor: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_value("floor", self.floor, NOT_NEGATIVE)

    @property
    def label(self) -> str:
        return f"IRKM ({self.rounds} rounds)" if self.rounds else "fixed exponential kernel"

    def pair_seconds(self, width: int) -> float:
        return 1.0e-8 + 1.5e-10 * width

    def first_metric(self, x: Tensor) -> Tensor:
        """w = 1, (d,)."""
        return torch.ones(x.shape[1], dtype=x.dtype, device=x.device)

    def leading_directions(self, metric: Tensor) -> Tensor:
        """The coordinate directions, the largest weight first."""
        identity = torch.eye(len(metric), dtype=metric.dtype, device=metric.device)
        return identity[:, metric.argsort(descending=True)]

    def gram(self, x: Tensor, z: Tensor, metric: Tensor) -> Tensor:
        """Kernel values of ``x`` (N, d) and ``z`` (M, d) → (N, M); about 1 at x = z."""
        return ((x * metric) @ z.mT).div_(x.shape[1]).sub_(1).exp_()

    def gradients(self, x: Tensor, alpha: Tensor, metric: Tensor) -> Tensor:
        kernel, scale = self.gram(x, x, metric), metric / x.shape[1]
        return torch.cat([(kernel * column) @ x * scale for column in columns_of(alpha)])

    def next_metric(self, x: Tensor, alpha: Tensor, metric: Tensor) -> Tensor:
        """w of the next round, of sum d; ``metric`` where the derivatives vanish."""
        squares = self.gradients(x, alpha, metric).square().mean(0)
        if not squares.any():
            return metric
        updated = squares / squares.max() + self.floor
        return updated * (len(updated) / updated.sum())
