"""All polynomials of degree ≤ 2 in an orthonormal basis of the input law, in closed form.

This is the idealisation of a whitened neural representation with D = d^{p/2} features at p = 4. It
is **not** a neural representation, and it encodes that degree 2 suffices.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError
from bfc.representations.base import Representation
from bfc.targets.capabilities import LevelComposition, input_law
from bfc.types import Draw, Target


@dataclass(frozen=True)
class Degree2(Representation):
    """All polynomials of degree ≤ 2 of the input, with E h hᵀ = I.

    On the sphere h(x) = (1, x_i, √((d+2)/d) x_i x_j, Hc·(x_i²)), where Hc holds the d − 1
    orthonormal contrasts, since Σ x_i² is constant there; for Gaussian inputs
    h(x) = (1, x_i, x_i x_j, (x_i² − 1)/√2).
    """

    identity_name: ClassVar[str] = "bfc.representations.degree2.Degree2"
    version: ClassVar[int] = 1

    constant: bool = True
    """Whether the constant is a feature (lower degrees are then products with it)."""

    def check(self, target: Target) -> None:
        law = input_law(target)
        is_composition = isinstance(target.unwrapped, LevelComposition)
        if law not in ("sphere", "gaussian") and not is_composition:
            raise UserError(
                "representation=degree2: needs inputs uniform on the sphere or Gaussian, not those "
                f"of {type(target).__name__} (target.law={law or 'its own'}); allowed: "
                "representation=random_features or raw"
            )
        if target.d < 2:
            raise UserError(f"representation=degree2: needs target.d of at least 2, not {target.d}")

    def _is_on_sphere(self, target: Target) -> bool:
        return input_law(target) == "sphere"

    def output_width(self, target: Target) -> int:
        d = target.d
        squares = d - 1 if self._is_on_sphere(target) else d
        return int(self.constant) + d + d * (d - 1) // 2 + squares

    def build(self, target: Target, draw: Draw) -> dict[str, Tensor]:
        return {}

    def encode(self, target: Target, parts: Mapping[str, Tensor], x: Tensor) -> Tensor:
        d = x.shape[2]
        i, j = torch.triu_indices(d, d, 1, device=x.device)
        products = x[..., i] * x[..., j]
        squares = x.square()
        if self._is_on_sphere(target):
            products = products * math.sqrt((d + 2) / d)
            squares = squares @ (_contrasts(d, x.dtype, x.device) * math.sqrt((d + 2) / (2 * d)))
        else:
            squares = (squares - 1) * math.sqrt(0.5)
        features = [x, products, squares]
        if self.constant:
            features.insert(0, torch.ones_like(x[..., :1]))
        return torch.cat(features, 2)


@functools.lru_cache(maxsize=8)
def _contrasts(d: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """d − 1 orthonormal columns (d, d − 1) orthogonal to (1, ..., 1) (Helmert).

    Cached, so that no step of a training copies them to the device.
    """
    contrasts = torch.zeros(d, d - 1, dtype=torch.float64)
    for k in range(1, d):
        contrasts[:k, k - 1] = 1.0
        contrasts[k, k - 1] = -float(k)
        contrasts[:, k - 1] /= math.sqrt(k * (k + 1))
    return contrasts.to(device, dtype)
