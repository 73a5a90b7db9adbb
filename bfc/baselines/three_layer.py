"""A three-layer network trained layer by layer, the procedure of the feature-learning theorems
(Nichani, Damian & Lee, arXiv:2305.06986; Wang, Nichani & Lee, arXiv:2311.13774; recalled): the
first layer is the representation h (random or exact, never trained), the second learns one scalar
feature z = w·h, the third is ridge regression on ReLUs of z. Each stage has labels of its own
within n."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.baselines.refit import Refit
from bfc.baselines.ridge import is_integer, is_number
from bfc.errors import require


@dataclass(frozen=True)
class ThreeLayer(Refit):
    """Stage one on the first ``share`` of the n labels: ``one_step``, w = (1/n₁) Σ y_i h_i, one
    gradient step from zero, or ``least_squares``, the w of smallest norm that minimises Σ (y_i −
    w·h_i)². Stage two on the others: ridge regression on ``units`` features ReLU(±z̃ − t), z̃ the
    standardised feature, t ~ N(0, 1), penalty ``regularisation`` times the mean square of a
    feature. Raises :class:`bfc.errors.UserError` on bad values."""

    identity_name: ClassVar[str] = "bfc.baselines.three_layer.ThreeLayer"

    regularisation_grid: tuple[float, ...] = (1e-6, 1e-4, 1e-2)
    n_ratio: float = 1.15
    stage_one: Literal["one_step", "least_squares"] = "one_step"
    share: float = 0.7
    units: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.stage_one in ("one_step", "least_squares"),
            "baseline.stage_one",
            self.stage_one,
            "one_step or least_squares",
        )
        require(
            is_number(self.share) and 0 < self.share < 1,
            "baseline.share",
            self.share,
            "a number between 0 and 1",
        )
        require(
            is_integer(self.units) and 1 <= self.units <= 1 << 14,
            "baseline.units",
            self.units,
            "an integer from 1 to 16384",
        )

    @property
    def label(self) -> str:
        return f"three-layer, layer-wise ({self.stage_one.replace('_', ' ')})"

    def feature(self, x: Tensor, y: Tensor) -> Tensor:
        """w (D,) of stage one from ``x`` (n₁, D), ``y`` (n₁,)."""
        if self.stage_one == "one_step":
            return x.mT @ y / len(x)
        return (
            torch.linalg.lstsq(x.cpu(), y.cpu().unsqueeze(1), driver="gelsd")
            .solution.squeeze(1)
            .to(x)
        )

    def predict(self, x: Tensor, y: Tensor, x_test: Tensor, strengths: Sequence[float]) -> Tensor:
        first = min(max(1, round(self.share * len(x))), len(x) - 1)
        w = self.feature(x[:first], y[:first])
        z = x[first:] @ w
        centre, size = z.mean(), z.std(unbiased=False).clamp(min=torch.finfo(z.dtype).tiny)
        knots = random.normal([0], "baseline/three_layer", (self.units,), x.dtype, x.device)[0]
        sides = torch.ones_like(knots)
        sides[1::2] = -1

        def hidden(z: Tensor) -> Tensor:
            return (((z - centre) / size).unsqueeze(1) * sides - knots).relu_()

        phi, mean = hidden(z), y[first:].mean()
        middle = phi.mean(0)
        phi = phi - middle
        kernel = phi.mT @ phi / len(phi)
        unit = kernel.diagonal().mean().clamp(min=torch.finfo(z.dtype).tiny)
        found = []
        for strength in strengths:
            shifted = kernel + strength * unit * torch.eye(
                self.units, dtype=x.dtype, device=x.device
            )
            found.append(torch.linalg.solve(shifted, phi.mT @ (y[first:] - mean) / len(phi)))
        return (hidden(x_test @ w) - middle).matmul(torch.stack(found, 1)).mT + mean
