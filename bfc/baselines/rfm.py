"""Recursive feature machines: a kernel whose metric is the gradient outer product of its own fit.

Radhakrishnan, Beaglehole, Pandit & Belkin (arXiv:2212.13881). They learn a linear subspace without
gradient descent, and are the opponent by which a gain from training deep networks must be measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc.baselines.checks import POSITIVE, check_parameter, format_parameter, require_chosen
from bfc.baselines.recursive_kernel import RecursiveKernel, columns_of


@dataclass(frozen=True)
class RFM(RecursiveKernel):
    """Kernel ridge regression with |x − z|_M² = (x − z)'M(x − z), and ``rounds`` updates of M.

    K = exp(−|x − z|_M² / 2L²) (``gauss``) or exp(−|x − z|_M / L) (``laplace``), L = ``bandwidth``
    √d. From M = I on, every round fits f = Σ_j α_j K(·, x_j), α = (K + λI)⁻¹y, and sets M to

    - ``full``: (1/n) Σ_i ∇f(x_i) ∇f(x_i)', the average gradient outer product,
    - ``diagonal``: its diagonal,
    - ``fact``: (FF')^(1/2), F = (λ/n) Σ_i α_i ∇f(x_i) x_i' (arXiv:2507.05644: what weight decay and
      stationarity say of a first layer; y_i − f(x_i) = λα_i for ridge regression),

    each scaled to trace d, so that λ and L keep their meaning; gradients are not centred. Where
    they vanish (labels that are all 0, for one) M stays as it is. Raises
    :class:`bfc.errors.UserError` on invalid values.
    """

    identity_name: ClassVar[str] = "bfc.baselines.rfm.RFM"

    kernel: Literal["gauss", "laplace"] = "gauss"
    metric: Literal["full", "diagonal", "fact"] = "full"
    bandwidth: float | Literal["auto"] = 1.0
    bandwidth_grid: tuple[float, ...] = (0.5, 1.0, 2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        grid = check_parameter("bandwidth", self.bandwidth, self.bandwidth_grid, POSITIVE)
        object.__setattr__(self, "bandwidth_grid", grid)

    @property
    def label(self) -> str:
        names = {"gauss": "Gauss", "laplace": "Laplace"}
        bandwidth = "" if self.bandwidth == 1 else f", bandwidth {format_parameter(self.bandwidth)}"
        if not self.rounds:
            return f"fixed {names[self.kernel]} kernel{bandwidth}"
        return f"RFM ({names[self.kernel]}, {self.metric}, {self.rounds} rounds{bandwidth})"

    def pair_seconds(self, width: int) -> float:
        return 1.2e-8 + 1.5e-10 * width

    def first_metric(self, x: Tensor) -> Tensor:
        """I, (d, d)."""
        return torch.eye(x.shape[1], dtype=x.dtype, device=x.device)

    def leading_directions(self, metric: Tensor) -> Tensor:
        """The eigenvectors of M."""
        vectors: Tensor = torch.linalg.eigh(metric).eigenvectors
        return vectors.flip(1)

    def gram(self, x: Tensor, z: Tensor, metric: Tensor) -> Tensor:
        scale = self._scale(x.shape[1])
        if self.kernel == "gauss":
            return squared_distances(x, z, metric).mul_(-0.5 / scale**2).exp_()
        return squared_distances(x, z, metric).sqrt_().div_(-scale).exp_()

    def _scale(self, width: int) -> float:
        """L"""
        return require_chosen(self.bandwidth) * math.sqrt(width)

    def gradients(self, x: Tensor, alpha: Tensor, metric: Tensor) -> Tensor:
        """∇f at the rows of ``x`` (n, d), f = Σ_j α_j K(·, x_j) → (n, d).

        −Σ_j α_j w_ij M(x_i − x_j) with w = K/L² (Gauss) or K/(L r), r = |x_i − x_j|_M (Laplace),
        whose kinks at r = 0 are left out. For α (n, outputs) those of one output after the other.
        """
        scale = self._scale(x.shape[1])
        weights = self.gram(x, x, metric)
        if self.kernel == "gauss":
            weights.div_(scale**2)
        else:
            distances = squared_distances(x, x, metric).sqrt_()
            is_kink = distances <= 1e-12 * scale
            weights.div_(distances.masked_fill_(is_kink, 1.0).mul_(scale))
            weights.masked_fill_(is_kink, 0.0)
        gradients = []
        for column in columns_of(alpha):
            weighted = weights * column
            slopes = weighted @ x - weighted.sum(1, keepdim=True) * x
            gradients.append(slopes @ metric)
        return torch.cat(gradients)

    def next_metric(self, x: Tensor, alpha: Tensor, metric: Tensor) -> Tensor:
        """M of the next round, of trace d; ``metric`` where the gradients vanish."""
        gradient = self.gradients(x, alpha, metric)
        if self.metric == "full":
            updated = gradient.mT @ gradient
        elif self.metric == "diagonal":
            updated = torch.diag(gradient.square().sum(0))
        else:
            weighted = (columns_of(alpha).unsqueeze(2) * x).flatten(0, 1)
            vectors, values, _ = torch.linalg.svd(gradient.mT @ weighted)
            updated = (vectors * values) @ vectors.mT
        scale = x.shape[1] / updated.trace()
        return updated * scale if scale.isfinite() else metric


def squared_distances(x: Tensor, z: Tensor, metric: Tensor) -> Tensor:
    """(x_i − z_j)'M(x_i − z_j) for ``x`` (N, d), ``z`` (M, d) → (N, M), exactly 0 for x is z."""
    scaled = x @ metric
    squares = (scaled * x).sum(1)
    squares_z = squares if z is x else (z @ metric * z).sum(1)
    distances = (scaled @ z.mT).mul_(-2).add_(squares.unsqueeze(1)).add_(squares_z).clamp_(min=0)
    if z is x:
        distances.fill_diagonal_(0)
    return distances
