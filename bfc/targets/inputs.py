"""Input laws: N(0, I) and others with mean zero and covariance I.

Under all of them polynomials of the input still have light enough tails (Allen-Zhu & Li,
arXiv:2001.04413, name mixtures of skewed Gaussians and hypercontractive laws; recalled). A law
gives rows as a function of (seed, role, row number);
:mod:`bfc.targets.quadrature` takes expectations under it. Student's law is left out on purpose:
only finitely many of its moments exist, so polynomials of high degree have no finite variance, and
it is not hypercontractive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.component import Component
from bfc.errors import require


@dataclass(frozen=True)
class Mixture(Component, config_key="target.law"):
    """Equal parts of skewed Gaussians, drawn per seed, with dependent coordinates.

    The whole has mean zero and covariance I: x = C^(−1/2)(m_c + s_c ∘ ξ − mean), c uniform,
    m_c ~ ``separation`` · N(0, I), log s_c uniform per coordinate between ∓ ½ log ``spread``, ξ of
    independent skew normal coordinates (Azzalini) of shape ``skew``, mean zero and variance one.

    Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.targets.inputs.Mixture"

    components: int = 3
    separation: float = 1.0
    spread: float = 2.0
    skew: float = 4.0

    def __post_init__(self) -> None:
        require(
            1 <= self.components <= 1024,
            "target.law.components",
            self.components,
            "an integer from 1 to 1024",
        )
        require(
            0 <= self.separation < math.inf,
            "target.law.separation",
            self.separation,
            "a number >= 0",
        )
        require(1 <= self.spread < math.inf, "target.law.spread", self.spread, "a number >= 1")
        require(-math.inf < self.skew < math.inf, "target.law.skew", self.skew, "a finite number")


ProductLaw = Literal["gaussian", "uniform", "sign", "laplace", "exponential"]
Law = ProductLaw | Mixture
"""Independent coordinates (``exponential``: minus its mean), or a mixture of dependent ones."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of R draws with d coordinates."""

    law: Law
    seeds: tuple[int, ...]
    d: int
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"
    parts: dict[str, Tensor] = field(default_factory=dict)
    """Of a mixture of C components, float64; empty for other laws.

    ``shift`` (R, C, d) and ``scale`` (R, C, d) of the components before whitening, and ``white``
    (R, d, d), the symmetric matrix that makes the covariance of the whole I."""
    _keys: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.law, Mixture) and not self.parts:
            draws = [_mixture_parts(self.law, seed, self.d) for seed in self.seeds]
            parts = {name: torch.stack([draw[name] for draw in draws]) for name in draws[0]}
            object.__setattr__(self, "parts", parts)

    def rows(self, role: str, rows: Tensor) -> Tensor:
        """Inputs (R, B, d) of the row numbers (R, B) in the stream ``role``."""
        if role not in self._keys:
            self._keys[role] = random.keys(self.seeds, f"inputs/{self.d}/{role}", self.device)
        key = self._keys[role]
        rows = rows.to(self.device)
        if not isinstance(self.law, Mixture):
            return transform_normals(self.law, random.normal_rows(key, rows, self.d, self.dtype))
        count = torch.tensor(self.law.components, device=rows.device)
        component = random.integers(key.unsqueeze(1), ~rows, count)
        g = random.normal_rows(key, rows, 2 * self.d, self.dtype)
        return self.mix(component, skew_normals(self.law, g))

    def mix(self, component: Tensor, xi: Tensor) -> Tensor:
        """x from components (R, B) and skew coordinates before centring (R, B, d).

        Sums run coordinate by coordinate: a matrix product may round differently in another stack,
        and rows must not.
        """
        shift = self.parts["shift"].to(self.device, xi.dtype)
        scale = self.parts["scale"].to(self.device, xi.dtype)
        white = self.parts["white"].to(self.device, xi.dtype)
        index = component.unsqueeze(2).expand(*component.shape, self.d)
        raw = shift.gather(1, index) + scale.gather(1, index) * xi
        x = torch.zeros_like(raw)
        for i in range(self.d):
            x += raw[..., i : i + 1] * white[:, i : i + 1]
        return x

    def select(self, index: Sequence[int]) -> Inputs:
        """The inputs of a subset (or repetition) of the draws."""
        return replace(
            self,
            seeds=tuple(self.seeds[i] for i in index),
            parts={k: v[list(index)] for k, v in self.parts.items()},
            _keys={},
        )


def transform_normals(law: ProductLaw, g: Tensor) -> Tensor:
    """Standard normal numbers mapped to the law of variance one by an increasing function.

    ``g`` may be changed.
    """
    if law == "gaussian":
        return g
    if law == "uniform":
        return g.div_(math.sqrt(2)).erf_().mul_(math.sqrt(3))
    if law == "sign":
        return torch.where(g < 0, -1.0, 1.0).to(g.dtype)
    if law == "laplace":
        tail: Tensor = torch.special.log_ndtr(-g.abs()) + math.log(2)
        return -g.sign() * tail / math.sqrt(2)
    upper: Tensor = torch.special.log_ndtr(-g)
    return -upper - 1


def skew_normals(law: Mixture, g: Tensor) -> Tensor:
    """2d standard normal numbers (..., 2d) → δ|g_0| + √(1 − δ²) g_1 (..., d).

    Skew normal of shape ``skew``, not centred; homogeneous of degree one in g.
    """
    delta = law.skew / math.sqrt(1 + law.skew**2)
    first, second = g.chunk(2, -1)
    return delta * first.abs() + math.sqrt(1 - delta**2) * second


def _mixture_parts(law: Mixture, seed: int, d: int) -> dict[str, Tensor]:
    """``shift``, ``scale``, ``white`` of one seed."""
    size = (law.components, d)
    delta = law.skew / math.sqrt(1 + law.skew**2)
    mean = delta * math.sqrt(2 / math.pi)
    deviation = math.sqrt(1 - 2 * delta**2 / math.pi)
    g = random.normal([seed], f"target/{d}/mixture/centre", size, torch.float64)[0]
    centre = law.separation * g
    centre = centre - centre.mean(0)
    key = random.keys([seed], f"target/{d}/mixture/scale")
    u = random.uniform(key, torch.arange(law.components * d).view(size), torch.float64)
    scale = law.spread ** (u - 0.5)
    covariance = torch.diag(scale.square().mean(0)) + centre.mT @ centre / law.components
    values, vectors = torch.linalg.eigh(covariance)
    return {
        "shift": centre - scale * (mean / deviation),
        "scale": scale / deviation,
        "white": (vectors * values.rsqrt()) @ vectors.mT,
    }
