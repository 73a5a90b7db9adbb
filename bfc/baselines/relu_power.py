"""The exact tangent kernel of the first layer of an infinitely wide two-layer network.

Its activations φ = ReLU^p/p! are those of the papers on quadratic models. It exists besides
:class:`bfc.baselines.kernels.NTK` because a fair linear opponent must see the degree of the target:
without biases the tangent kernel of ReLU²/2 has no component of degree 4 at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.baselines.checks import is_integer
from bfc.baselines.ridge import KernelRidge
from bfc.errors import require


@dataclass(frozen=True)
class ReLUPowerNTK(KernelRidge):
    """K(h, h') = h·h' E_w φ'(w·h) φ'(w·h'), w ~ N(0, I), scaled to 1 at h = h' with |h|² = D.

    Only the first layer is trained. With u = cos θ between h and h' and φ' = ReLU^{p−1}/(p−1)!, K =
    (|h||h'|/D)^p u J(u)/J(1), J the arc-cosine kernel of degree p − 1 (Cho & Saul 2009, eq. 4): J_0
    ∝ π − θ, J_1 ∝ sin θ + (π − θ) cos θ, J_2 ∝ 3 sin θ cos θ + (π − θ)(1 + 2 cos² θ). Raises
    :class:`bfc.errors.UserError` unless p is 1, 2 or 3.
    """

    identity_name: ClassVar[str] = "bfc.baselines.relu_power.ReLUPowerNTK"

    power: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            is_integer(self.power) and 1 <= self.power <= 3,
            "baseline.power",
            self.power,
            "1, 2 or 3",
        )

    @property
    def label(self) -> str:
        power = "" if self.power == 1 else f"^{self.power}"
        return f"NTK of ReLU{power} (two layers, no bias)"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, D), ``z`` (M, D) → (N, M)."""
        norms = [rows.square().sum(1).div_(x.shape[1]).sqrt_() for rows in (x, z)]
        sizes = norms[0].unsqueeze(1) * norms[1]
        u = (x @ z.mT).div_(x.shape[1]).div_(sizes.clamp(min=torch.finfo(x.dtype).tiny))
        u.masked_fill_(u > 1 - 1e-14, 1.0).clamp_(min=-1.0)
        arc_cosine = self._arc_cosine(u)
        scale = 3 * math.pi if self.power == 3 else math.pi
        return arc_cosine.mul_(u).mul_(sizes.pow_(self.power)).div_(scale)

    def _arc_cosine(self, u: Tensor) -> Tensor:
        """J(u) of degree p − 1, up to its value at 1."""
        angle = torch.acos(u).neg_().add_(math.pi)
        if self.power == 1:
            return angle
        sine = (1 - u * u).sqrt_()
        if self.power == 2:
            return angle.mul_(u).add_(sine)
        return angle.mul_(1 + 2 * u * u).add_(sine.mul_(u).mul_(3))
