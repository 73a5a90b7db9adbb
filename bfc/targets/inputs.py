"""Input laws: N(0, I) and others with mean zero and covariance I under which polynomials of the
input still have light enough tails (Allen-Zhu & Li, arXiv:2001.04413, name mixtures of skewed
Gaussians and hypercontractive laws; recalled). A law gives rows as a function of (seed, role, row
number), and quadrature nodes by which the constants of a target are measured with a standard error.
Student's law is left out on purpose: only finitely many of its moments exist, so polynomials of
high degree have no variance to speak of, and it is not hypercontractive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from scipy import special
from torch import Tensor

from bfc import random
from bfc.errors import require


@dataclass(frozen=True)
class Mixture:
    """Equal parts of skewed Gaussians, drawn per seed and then made to have mean zero and
    covariance I as a whole: x = C^(−1/2)(m_c + s_c ∘ ξ − mean), c uniform, m_c ~ ``separation`` ·
    N(0, I), log s_c uniform per coordinate between ∓ ½ log ``spread``, ξ of independent skew normal
    coordinates (Azzalini) of shape ``skew``, mean zero and variance one. Coordinates are dependent.
    Raises :class:`bfc.errors.UserError` on bad values."""

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
"""Independent coordinates of this law (``exponential``: minus its mean), or a mixture of dependent
ones."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of R draws with d coordinates. ``parts`` of a mixture, float64, R first: ``shift``
    (R, C, d) and ``scale`` (R, C, d) of its components before, and ``white`` (R, d, d) the
    symmetric matrix that makes the whole of covariance I."""

    law: Law
    seeds: tuple[int, ...]
    d: int
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"
    parts: dict[str, Tensor] = field(default_factory=dict)
    _keys: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.law, Mixture) and not self.parts:
            each = [_mixture_parts(self.law, seed, self.d) for seed in self.seeds]
            object.__setattr__(
                self,
                "parts",
                {name: torch.stack([parts[name] for parts in each]) for name in each[0]},
            )

    def rows(self, role: str, rows: Tensor) -> Tensor:
        """Inputs (R, B, d) of the row numbers (R, B) in the stream ``role``."""
        if role not in self._keys:
            self._keys[role] = random.keys(self.seeds, f"inputs/{self.d}/{role}", self.device)
        key, rows = self._keys[role], rows.to(self.device)
        if not isinstance(self.law, Mixture):
            return _shaped(self.law, random.normal_rows(key, rows, self.d, self.dtype))
        component = random.integers(
            key.unsqueeze(1), ~rows, torch.tensor(self.law.components, device=rows.device)
        )
        g = random.normal_rows(key, rows, 2 * self.d, self.dtype)
        return self._mixed(component, _skewed(self.law, g))

    def _mixed(self, component: Tensor, xi: Tensor) -> Tensor:
        """x of components (R, B) and skew coordinates before centring (R, B, d). Sums run
        coordinate by coordinate: a matrix product may round differently in another stack, and rows
        must not."""
        pick = component.unsqueeze(2).expand(*component.shape, self.d)
        shift, scale, white = (
            self.parts[name].to(self.device, xi.dtype) for name in ("shift", "scale", "white")
        )
        raw = shift.gather(1, pick) + scale.gather(1, pick) * xi
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


def _shaped(law: ProductLaw, g: Tensor) -> Tensor:
    """Standard normal numbers mapped to the law of variance one, increasing in them; ``g`` may be
    changed."""
    if law == "gaussian":
        return g
    if law == "uniform":
        return g.div_(math.sqrt(2)).erf_().mul_(math.sqrt(3))
    if law == "sign":
        return torch.where(g < 0, -1.0, 1.0).to(g.dtype)
    if law == "laplace":
        return -g.sign() * (torch.special.log_ndtr(-g.abs()) + math.log(2)) / math.sqrt(2)
    return -torch.special.log_ndtr(-g) - 1


def _skewed(law: Mixture, g: Tensor) -> Tensor:
    """2d standard normal numbers (..., 2d) → δ|g_0| + √(1 − δ²) g_1 (..., d), skew normal of shape
    ``skew``, not centred; homogeneous of degree one in g."""
    delta = law.skew / math.sqrt(1 + law.skew**2)
    first, second = g.chunk(2, -1)
    return delta * first.abs() + math.sqrt(1 - delta**2) * second


def _mixture_parts(law: Mixture, seed: int, d: int) -> dict[str, Tensor]:
    """``shift``, ``scale``, ``white`` of one seed."""
    delta, size = law.skew / math.sqrt(1 + law.skew**2), (law.components, d)
    mean, deviation = delta * math.sqrt(2 / math.pi), math.sqrt(1 - 2 * delta**2 / math.pi)
    centre = (
        law.separation * random.normal([seed], f"target/{d}/mixture/centre", size, torch.float64)[0]
    )
    centre = centre - centre.mean(0)
    key = random.keys([seed], f"target/{d}/mixture/scale")
    scale = law.spread ** (
        random.uniform(key, torch.arange(law.components * d).view(size), torch.float64) - 0.5
    )
    covariance = torch.diag(scale.square().mean(0)) + centre.mT @ centre / law.components
    values, vectors = torch.linalg.eigh(covariance)
    return {
        "shift": centre - scale * (mean / deviation),
        "scale": scale / deviation,
        "white": (vectors * values.rsqrt()) @ vectors.mT,
    }


@dataclass(frozen=True)
class Nodes:
    """Quadrature nodes ``x`` (groups · m, r), in groups that are independent of each other, and
    weights (groups, m) or (m,) whose mean over groups of the sum within is one. The mean over
    groups of the weighted sum within estimates an expectation, their scatter its error."""

    x: Tensor
    weights: Tensor

    def mean(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Expectation of each column of values at the nodes (groups · m, k), and its standard
        error; (k,)."""
        m = self.weights.shape[-1]
        pattern = "gmk,m->gk" if self.weights.dim() == 1 else "gmk,gm->gk"
        each = torch.einsum(pattern, values.view(-1, m, values.shape[1]), self.weights)
        return each.mean(0), each.std(0) / len(each) ** 0.5


def nodes(inputs: Inputs, basis: Tensor, degree: int, most: int) -> Nodes:
    """At most about ``most`` nodes for the first seed's law in the orthonormal coordinates
    ``basis`` (r, d), for squares of polynomials of this degree. Under ``gaussian`` r may be below
    d, otherwise ``basis`` is the identity.

    Gaussian parts: x = ρ u, directions u are drawn (with their opposites, so that odd powers of ρ
    cancel), and over ρ, which carries the heavy tail, a Gauss–Laguerre rule in ρ²/2, a Gamma
    variable, is exact; in a mixture, where odd powers stay, it has ten nodes more and is exact to
    rounding in practice. A plain sample misses, at degree 16 and above, the rare large |x| that
    dominate the variance, and underestimates its own error. ``laplace`` and ``exponential``: half
    of the nodes have one coordinate drawn ``degree`` times as wide, since large values come from
    one large coordinate; each node carries its likelihood ratio. ``uniform`` and ``sign``: a plain
    sample."""
    law, d, seeds = inputs.law, len(basis), inputs.seeds[:1]
    if law == "gaussian" or isinstance(law, Mixture):
        return _radial(inputs, d, degree, most)
    count = max(2, most // 2)
    first = torch.arange(2 * count).view(1, 2, count)
    x, wide = (
        _shaped(
            law,
            random.normal_rows(random.keys(seeds, "target/quadrature"), rows, d, torch.float64)[0],
        )
        for rows in (first[:, 0], first[:, 1])
    )
    if law in ("uniform", "sign"):
        return Nodes(torch.cat([x, wide]), torch.ones(1, dtype=torch.float64))
    low = 0.0 if law == "laplace" else 1.0
    rate = math.sqrt(2) if law == "laplace" else 1.0
    place = random.integers(
        random.keys(seeds, "target/quadrature/place"), torch.arange(count), torch.tensor(d)
    ).unsqueeze(1)
    wide = wide.scatter(1, place, (wide.gather(1, place) + low) * degree - low)
    both = torch.stack([x, wide], 1)
    ratio = ((rate * (1 - 1 / degree)) * (both + low).abs()).exp_().mean(2) / degree
    return Nodes(both.flatten(0, 1), 1 / (1 + ratio))


def _radial(inputs: Inputs, d: int, degree: int, most: int) -> Nodes:
    mixture = isinstance(inputs.law, Mixture)
    r = 2 * d if mixture else d
    half_squares, weights = special.roots_genlaguerre(
        degree + 10 if mixture else degree // 2 + 1, r / 2 - 1
    )
    radius, weights = torch.tensor((2 * half_squares) ** 0.5), torch.tensor(weights / weights.sum())
    parts = inputs.law.components if mixture else 2
    count = max(2, most // (parts * len(weights)))
    u = random.normal_rows(
        random.keys(inputs.seeds[:1], "target/quadrature"),
        torch.arange(count).unsqueeze(0),
        r,
        torch.float64,
    )[0]
    u /= u.norm(dim=1, keepdim=True)
    weights = weights.repeat(parts) / parts
    if not mixture:
        return Nodes(
            (u.unsqueeze(1) * torch.cat([radius, -radius]).view(1, -1, 1)).flatten(0, 1), weights
        )
    xi = (_skewed(inputs.law, u).unsqueeze(1) * radius.repeat(parts).view(1, -1, 1)).flatten(0, 1)
    component = torch.arange(parts).repeat_interleave(len(radius)).repeat(count)
    return Nodes(inputs.select([0])._mixed(component.unsqueeze(0), xi.unsqueeze(0))[0], weights)
