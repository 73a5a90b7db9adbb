"""All polynomials of degree ≤ 2 in an orthonormal basis of the input law, in closed form: the
idealisation of a whitened neural representation with D = d^{p/2} features at p = 4. It is **not** a
neural representation, and it encodes that degree 2 suffices."""

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
from bfc.types import Draw, Target


@dataclass(frozen=True)
class Degree2(Representation):
    """h(x) = (1, x_i, √((d+2)/d) x_i x_j, Hc·(x_i²)) on the sphere, (1, x_i, x_i x_j, (x_i² −
    1)/√2) for Gaussian inputs; E h hᵀ = I. On the sphere Hc holds the d − 1 orthonormal contrasts,
    since Σ x_i² is constant there."""

    identity_name: ClassVar[str] = "bfc.representations.degree2.Degree2"
    version: ClassVar[int] = 1

    constant: bool = True
    """Whether the constant is a feature (lower degrees are then products with it)."""

    def check(self, target: Target) -> None:
        if getattr(target, "law", None) not in ("sphere", "gaussian") and not hasattr(
            target, "base"
        ):
            raise UserError(
                f"representation=degree2: needs inputs uniform on the sphere or Gaussian, not those of {type(target).__name__} "
                f"(target.law={getattr(target, 'law', 'its own')}); allowed: representation=random_features or raw"
            )
        if target.d < 2:
            raise UserError(f"representation=degree2: needs target.d of at least 2, not {target.d}")

    def _sphere(self, target: Target) -> bool:
        return getattr(target, "law", "gaussian") == "sphere"

    def output_width(self, target: Target) -> int:
        d = target.d
        return int(self.constant) + d + d * (d - 1) // 2 + (d - 1 if self._sphere(target) else d)

    def build(self, target: Target, draw: Draw) -> dict[str, Tensor]:
        return {}

    def encode(self, target: Target, parts: Mapping[str, Tensor], x: Tensor) -> Tensor:
        d = x.shape[2]
        i, j = torch.triu_indices(d, d, 1, device=x.device)
        products, squares = x[..., i] * x[..., j], x.square()
        if self._sphere(target):
            products = products * math.sqrt((d + 2) / d)
            squares = squares @ (_contrasts(d, x.dtype, x.device) * math.sqrt((d + 2) / (2 * d)))
        else:
            squares = (squares - 1) * math.sqrt(0.5)
        one = [torch.ones_like(x[..., :1])] if self.constant else []
        return torch.cat([*one, x, products, squares], 2)


@functools.lru_cache(maxsize=8)
def _contrasts(d: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """d − 1 orthonormal columns (d, d − 1) orthogonal to (1, ..., 1) (Helmert); kept, so that no
    step of a training copies them."""
    c = torch.zeros(d, d - 1, dtype=torch.float64)
    for k in range(1, d):
        c[:k, k - 1], c[k, k - 1] = 1.0, -float(k)
        c[:, k - 1] /= math.sqrt(k * (k + 1))
    return c.to(device, dtype)
