"""A three-layer network trained layer by layer, the procedure of the feature-learning theorems.

Nichani, Damian & Lee (arXiv:2305.06986) and Wang, Nichani & Lee (arXiv:2311.13774), both recalled:
the first layer is the representation h (random or exact, never trained), the second learns one
scalar feature z = w·h, the third is ridge regression on ReLUs of z. Each stage has labels of its
own within n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.baselines.checks import OPEN_UNIT_INTERVAL, check_option, check_value, integers_from
from bfc.baselines.refit import Refit


@dataclass(frozen=True)
class ThreeLayer(Refit):
    """One feature by least squares or one gradient step, then ridge regression on its ReLUs.

    Stage one uses the first ``share`` of the n labels: ``one_step``, w = (1/n₁) Σ y_i h_i, one
    gradient step from zero, or ``least_squares``, the w of smallest norm that minimises Σ (y_i −
    w·h_i)². Stage two uses the others: ridge regression on ``units`` features ReLU(±z̃ − t), z̃ the
    standardised feature, t ~ N(0, 1), penalty ``regularisation`` times the mean square of a
    feature. Raises :class:`bfc.errors.UserError` on invalid values.
    """

    identity_name: ClassVar[str] = "bfc.baselines.three_layer.ThreeLayer"

    regularisation_grid: tuple[float, ...] = (1e-6, 1e-4, 1e-2)
    n_ratio: float = 1.15
    stage_one: Literal["one_step", "least_squares"] = "one_step"
    share: float = 0.7
    units: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option("stage_one", self.stage_one, ("one_step", "least_squares"))
        check_value("share", self.share, OPEN_UNIT_INTERVAL)
        check_value("units", self.units, integers_from(1, 1 << 14))

    @property
    def label(self) -> str:
        return f"three-layer, layer-wise ({self.stage_one.replace('_', ' ')})"

    def feature(self, x: Tensor, y: Tensor) -> Tensor:
        """w (D,) of stage one from ``x`` (n₁, D), ``y`` (n₁,)."""
        if self.stage_one == "one_step":
            return x.mT @ y / len(x)
        least_squares = torch.linalg.lstsq(x.cpu(), y.cpu().unsqueeze(1), driver="gelsd")
        w: Tensor = least_squares.solution.squeeze(1).to(x)
        return w

    def predict(self, x: Tensor, y: Tensor, x_test: Tensor, strengths: Sequence[float]) -> Tensor:
        first = min(max(1, round(self.share * len(x))), len(x) - 1)
        w = self.feature(x[:first], y[:first])
        z = x[first:] @ w
        relu = _StandardisedReLU(z, self.units)
        phi, mean = relu(z), y[first:].mean()
        phi_mean = phi.mean(0)
        phi = phi - phi_mean
        covariance = phi.mT @ phi / len(phi)
        correlation = phi.mT @ (y[first:] - mean) / len(phi)
        mean_square = covariance.diagonal().mean().clamp(min=torch.finfo(z.dtype).tiny)
        identity = torch.eye(self.units, dtype=x.dtype, device=x.device)
        readouts = []
        for strength in strengths:
            shifted = covariance + strength * mean_square * identity
            readouts.append(torch.linalg.solve(shifted, correlation))
        return (relu(x_test @ w) - phi_mean).matmul(torch.stack(readouts, 1)).mT + mean


class _StandardisedReLU:
    """z (n,) ↦ ReLU(±z̃ − t) (n, units), z̃ standardised as the ``z`` it is made from."""

    def __init__(self, z: Tensor, units: int) -> None:
        self.mean = z.mean()
        self.deviation = z.std(unbiased=False).clamp(min=torch.finfo(z.dtype).tiny)
        self.knots = random.normal([0], "baseline/three_layer", (units,), z.dtype, z.device)[0]
        self.signs = torch.ones_like(self.knots)
        self.signs[1::2] = -1

    def __call__(self, z: Tensor) -> Tensor:
        standardised = ((z - self.mean) / self.deviation).unsqueeze(1)
        return (standardised * self.signs - self.knots).relu_()
