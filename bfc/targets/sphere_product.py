"""An oscillating function of the inner product of two unit vectors, f*(x, x') = sin(2π m ⟨x, x'⟩).

Daniely (COLT 2017, with 2m = p³ on S^{p−1} × S^{p−1}; recalled): three layers of polynomial width
suffice, two layers with exponentially bounded weights need exponentially many neurons. It is the
depth separation that needs no special radius law.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from scipy import special
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets.capabilities import RevealedMean
from bfc.targets.radial import directions
from bfc.types import Draw, Target

ANGLES = 1 << 20
"""Nodes of the quadrature of the variance."""
MAX_QUADRATURE_FREQUENCY = 1e5
"""Largest 2ω at which the variance is taken by quadrature."""


@dataclass(frozen=True)
class SphereProduct(Target):
    """f*(x, x') = sin(2π frequency ⟨x, x'⟩) of the two halves of the input.

    Each half is uniform on the unit sphere of R^{d/2}. Mean zero;
    Var f* = (1 − E cos(4π frequency ⟨x, x'⟩)) / 2, where
    E cos(ω u_1) = Γ(p/2) (2/ω)^{p/2−1} J_{p/2−1}(ω) on the sphere of R^p.

    Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.targets.sphere_product.SphereProduct"
    version: ClassVar[int] = 1

    d: int
    """Number of inputs, both halves together."""
    frequency: float | None = 1.0
    """Periods per unit of the inner product; null: Daniely's (d/2)³/2."""

    def __post_init__(self) -> None:
        require(
            4 <= self.d <= 1 << 14 and self.d % 2 == 0,
            "target.d",
            self.d,
            "an even integer from 4 to 16384",
        )
        allowed = self.frequency is None or 1e-6 <= self.frequency <= 1e6
        require(allowed, "target.frequency", self.frequency, "null or a number from 1e-6 to 1e6")

    @property
    def levels(self) -> tuple[int, ...]:
        return (2, 3)

    @property
    def degree(self) -> int:
        return 0

    @property
    def omega(self) -> float:
        """2π times the frequency."""
        frequency = (self.d / 2) ** 3 / 2 if self.frequency is None else self.frequency
        return 2 * math.pi * frequency

    @cached_property
    def variance(self) -> float:
        """Var f* = E sin²(ω⟨x, x'⟩).

        Up to 2ω = 10^5 by the midpoint rule in the angle, whose density is ∝ sin^{p−2}; beyond by
        the Bessel function, where its order is far below 2ω and nothing underflows.
        """
        p = self.d / 2
        twice = 2 * self.omega
        if twice > MAX_QUADRATURE_FREQUENCY:
            factor = math.exp(math.lgamma(p / 2) + (p / 2 - 1) * math.log(2 / twice))
            return (1 - factor * float(special.jv(p / 2 - 1, twice))) / 2
        angle = (np.arange(ANGLES) + 0.5) * (math.pi / ANGLES)
        weight = np.exp((p - 2) * np.log(np.sin(angle)))
        return float(weight @ np.sin(self.omega * np.cos(angle)) ** 2 / weight.sum())

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> SphereProductDraw:
        zero = torch.zeros(len(seeds), 1, dtype=dtype, device=device)
        return SphereProductDraw(self, tuple(seeds), RevealedMean(zero))


@dataclass(frozen=True)
class SphereProductDraw(Draw):
    """R realisations of a :class:`SphereProduct`; see :class:`bfc.types.Draw`."""

    target: SphereProduct
    seeds: tuple[int, ...]
    revealed: RevealedMean

    @property
    def variance(self) -> Tensor:
        return torch.full((len(self.seeds),), self.target.variance, dtype=torch.float64)

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        mean = self.revealed.mean
        d = self.target.d
        rows = rows.to(mean.device)
        halves = []
        for stream in ("inputs", "second"):
            keys = random.keys(self.seeds, f"{stream}/{d}/{role}", mean.device)
            halves.append(directions(keys, rows, d // 2, mean.dtype))
        return torch.cat(halves, 2)

    def features(self, x: Tensor) -> dict[int, Tensor]:
        first, second = x.chunk(2, 2)
        product = (first * second).sum(2, keepdim=True)
        return {2: product, 3: torch.sin(self.target.omega * product)}

    def labels(self, x: Tensor) -> Tensor:
        return self.features(x)[3].squeeze(2)

    def select(self, index: Sequence[int]) -> SphereProductDraw:
        return replace(
            self,
            seeds=tuple(self.seeds[i] for i in index),
            revealed=self.revealed.select(index),
        )
