"""Ridge regression on explicit features, among them random ones: methods whose features do not
depend on the labels. Their kernel is Φ(x)·Φ(z), so the exact learning curve of
:mod:`bfc.baselines.ridge` serves them as it is; a random feature map is redrawn for every seed and
held while that seed is measured."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from bfc import random
from bfc.baselines.panels import starts
from bfc.baselines.ridge import BLOCK, KernelRidge, is_integer, is_number
from bfc.errors import require
from bfc.types import Target


@dataclass(frozen=True)
class FeatureRidge(KernelRidge):
    """Ridge regression on :meth:`features`, |Φ(x)|² ≈ 1 for typical inputs, whose number is
    :meth:`count`."""

    @abstractmethod
    def features(self, x: Tensor, seed: int) -> Tensor:
        """Φ, (N, d) → (N, F), float64; a row depends on its input and on ``seed`` only."""

    @abstractmethod
    def count(self, width: int) -> int:
        """F for inputs of ``width`` coordinates."""

    def rank(self, width: int) -> float:
        """F"""
        return self.count(width)

    def gram(self, x: Tensor, z: Tensor, seed: int = 0) -> Tensor:
        """Φ(x)·Φ(z) for ``x`` (N, d), ``z`` (M, d) → (N, M)."""
        return self.features(x, seed) @ self.features(z, seed).mT

    def _matrices(
        self, x: Tensor, x_test: Tensor, seed: int
    ) -> tuple[Sequence[Tensor], Iterator[Tensor]]:
        phi = self.features(x, seed)
        panels = [phi[first:] @ phi[first:last].mT for first, last in starts(len(phi))]
        return panels, (self.features(rows, seed) @ phi.mT for rows in x_test.split(BLOCK))

    def _beside(self, target: Target) -> int:
        return 8 * (self.n_max + 3 * BLOCK) * self.count(target.input_width)


@dataclass(frozen=True)
class RandomFeatures(FeatureRidge):
    """Ridge regression on σ(w·x/√d + √β b), w and b standard normal and drawn once per seed, β =
    ``bias``; σ is the ReLU or a power (Rahimi & Recht 2007): a two-layer network whose first layer
    is never trained. Features are divided by the root of F E σ² at |x|² = d. Raises
    :class:`bfc.errors.UserError` on bad values."""

    identity_name: ClassVar[str] = "bfc.baselines.features.RandomFeatures"

    number: int = 4096
    """F, the number of features."""
    activation: Literal["relu"] | int = "relu"
    """``relu``, or the p of z ↦ z^p."""
    bias: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            is_integer(self.number) and self.number >= 1,
            "baseline.number",
            self.number,
            "an integer >= 1",
        )
        power = is_integer(self.activation) and 1 <= self.activation <= 16
        require(
            self.activation == "relu" or power,
            "baseline.activation",
            self.activation,
            "relu or a power, an integer from 1 to 16",
        )
        require(
            is_number(self.bias) and self.bias >= 0, "baseline.bias", self.bias, "a number >= 0"
        )

    @property
    def label(self) -> str:
        name = "ReLU" if self.activation == "relu" else f"power {self.activation}"
        return f"random features ({name}, {self.number})"

    def count(self, width: int) -> int:
        return self.number

    def features(self, x: Tensor, seed: int) -> Tensor:
        cast = {"dtype": x.dtype, "device": x.device}
        d = x.shape[1]
        w, b = (
            random.normal([seed], f"baseline/random_features/{part}/{d}", shape, **cast)[0]
            for part, shape in (("w", (d, self.number)), ("b", (self.number,)))
        )
        z = (x @ w).div_(math.sqrt(d)).add_(math.sqrt(self.bias) * b).div_(math.sqrt(1 + self.bias))
        if self.activation == "relu":
            return z.relu_().mul_(math.sqrt(2 / self.number))
        return z.pow_(self.activation).div_(
            math.sqrt(math.prod(range(2 * self.activation - 1, 0, -2)) * self.number)
        )
