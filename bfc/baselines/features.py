"""Ridge regression on explicit features, among them random ones, that do not depend on the labels.

Their kernel is Φ(x)·Φ(z), so :mod:`bfc.baselines.ridge` measures them as it does any kernel. A
random feature map is redrawn for every seed.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.baselines.checks import NOT_NEGATIVE, check_value, integers_from, is_integer
from bfc.baselines.learning_curve import BLOCK
from bfc.baselines.panels import starts
from bfc.baselines.ridge import KernelRidge
from bfc.errors import require
from bfc.types import Target


@dataclass(frozen=True)
class FeatureRidge(KernelRidge):
    """Ridge regression on :meth:`count` features, with |Φ(x)|² ≈ 1 for typical inputs."""

    is_rotation_invariant: ClassVar[bool] = False

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
        blocks = (self.features(rows, seed) @ phi.mT for rows in torch.split(x_test, BLOCK))
        return panels, blocks

    def _extra_bytes(self, target: Target) -> int:
        return 8 * (self.n_max + 3 * BLOCK) * self.count(target.input_width)


@dataclass(frozen=True)
class RandomFeatures(FeatureRidge):
    """Ridge regression on random features, a two-layer network whose first layer never trains.

    The features are σ(w·x/√d + √β b), w and b standard normal and drawn once per seed, β =
    ``bias``; σ is the ReLU or a power (Rahimi & Recht 2007). They are divided by the root of F E σ²
    at |x|² = d. Raises :class:`bfc.errors.UserError` on invalid values.
    """

    identity_name: ClassVar[str] = "bfc.baselines.features.RandomFeatures"

    number: int = 4096
    """F, the number of features."""
    activation: Literal["relu"] | int = "relu"
    """``relu``, or the p of z ↦ z^p."""
    bias: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_value("number", self.number, integers_from(1))
        is_power = is_integer(self.activation) and 1 <= self.activation <= 16
        require(
            self.activation == "relu" or is_power,
            "baseline.activation",
            self.activation,
            "relu or a power, an integer from 1 to 16",
        )
        check_value("bias", self.bias, NOT_NEGATIVE)

    @property
    def label(self) -> str:
        name = "ReLU" if self.activation == "relu" else f"power {self.activation}"
        return f"random features ({name}, {self.number})"

    def count(self, width: int) -> int:
        return self.number

    def features(self, x: Tensor, seed: int) -> Tensor:
        d, role = x.shape[1], "baseline/random_features"
        w = random.normal([seed], f"{role}/w/{d}", (d, self.number), x.dtype, x.device)[0]
        b = random.normal([seed], f"{role}/b/{d}", (self.number,), x.dtype, x.device)[0]
        z = (x @ w).div_(math.sqrt(d)).add_(math.sqrt(self.bias) * b).div_(math.sqrt(1 + self.bias))
        if isinstance(self.activation, str):
            return z.relu_().mul_(math.sqrt(2 / self.number))
        mean_square = math.prod(range(2 * self.activation - 1, 0, -2))
        return z.pow_(self.activation).div_(math.sqrt(mean_square * self.number))
