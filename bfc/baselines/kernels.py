"""Closed-form kernels, one frozen dataclass each: the methods that the lower bounds on hierarchical targets speak of
(inner-product and distance kernels, infinitely wide networks). Each gives only ``gram`` and ``label``; the learning curve
comes from :class:`bfc.baselines.ridge.KernelRidge`. All are normalised so that K(x, x) = 1 where |x|² = d, which is
typical of the inputs, and work in place, since a kernel matrix is the largest thing in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bfc.baselines.ridge import KernelRidge, is_integer, is_number
from bfc.errors import require


@dataclass(frozen=True)
class Polynomial(KernelRidge):
    """((offset + x·z/d) / (offset + 1))^degree. Raises :class:`bfc.errors.UserError` unless degree ≥ 1 and offset ≥ 0."""

    degree: int = 4
    offset: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_integer(self.degree) and self.degree >= 1, "baseline.degree", self.degree, "an integer >= 1")
        require(is_number(self.offset) and self.offset >= 0, "baseline.offset", self.offset, "a number >= 0")

    @property
    def label(self) -> str:
        offset = "" if self.offset == 1 else f", offset {self.offset:g}"
        return f"polynomial kernel (degree {self.degree}{offset})"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        scale = 1 / (self.offset + 1)
        return (x @ z.mT).mul_(scale / x.shape[1]).add_(self.offset * scale).pow_(self.degree)


@dataclass(frozen=True)
class _Distance(KernelRidge):
    bandwidth: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_number(self.bandwidth) and self.bandwidth > 0, "baseline.bandwidth", self.bandwidth, "a number > 0")

    def _distance(self, x: Tensor, z: Tensor) -> Tensor:
        """|x − z| / (bandwidth √d), (N, M). Not through |x|² + |z|² − 2x·z, which loses half of the digits where x ≈ z."""
        distance = torch.cdist(x, z, compute_mode="donot_use_mm_for_euclid_dist")
        return distance.div_(self.bandwidth * math.sqrt(x.shape[1]))


@dataclass(frozen=True)
class RBF(_Distance):
    """exp(−|x − z|² / (2 bandwidth² d)). Raises :class:`bfc.errors.UserError` unless bandwidth > 0."""

    @property
    def label(self) -> str:
        return f"RBF kernel (bandwidth {self.bandwidth:g})"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        return self._distance(x, z).square_().mul_(-0.5).exp_()


@dataclass(frozen=True)
class Laplace(_Distance):
    """exp(−|x − z| / (bandwidth √d)). Raises :class:`bfc.errors.UserError` unless bandwidth > 0."""

    @property
    def label(self) -> str:
        return f"Laplace kernel (bandwidth {self.bandwidth:g})"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        return self._distance(x, z).neg_().exp_()


@dataclass(frozen=True)
class _InfiniteReLU(KernelRidge):
    """ReLU networks of infinite width: f(x) = √(2/m) W_L φ(√(2/m) W_{L−1} ⋯ φ(√(2/d) W_1 x)) with ``depth`` = L weight
    layers (L − 1 hidden ones), standard normal weights (equivalently: weights of variance 2/fan_in) and no biases."""

    depth: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_integer(self.depth) and self.depth >= 2, "baseline.depth", self.depth, "an integer >= 2")

    @staticmethod
    def _cosine(x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cosines (N, M) of the angles between rows, and |x|/√d (N, 1), |z|/√d (M,). Cosines within 1e-14 of one, which
        is their rounding error, become one, so that K(x, x) does not feel the square-root singularity of the angle."""
        norms = [torch.linalg.vector_norm(rows, dim=1, keepdim=True) for rows in (x, z)]
        tiny = torch.finfo(x.dtype).tiny
        cosine = (x / norms[0].clamp_min(tiny)) @ (z / norms[1].clamp_min(tiny)).mT
        cosine.masked_fill_(cosine > 1 - 1e-14, 1.0).clamp_(min=-1.0)
        root = math.sqrt(x.shape[1])
        return cosine, norms[0] / root, norms[1].squeeze(1) / root

    @staticmethod
    def _layer(cosine: Tensor, tail: Tensor, sine: Tensor) -> None:
        """One hidden ReLU layer, in place. ``cosine`` c = cos θ becomes κ₁(c) = (sin θ + (π − θ) cos θ)/π and ``tail``
        becomes κ₀(c) = (π − θ)/π: the arc-cosine kernels of degree 1 and 0 (Cho & Saul 2009, eqs. 3–6), which are
        2 E φ(u)φ(v) and 2 E φ'(u)φ'(v) for unit Gaussians of correlation c. ``sine`` is scratch."""
        torch.mul(cosine, cosine, out=sine).neg_().add_(1.0).sqrt_().div_(math.pi)
        torch.acos(cosine, out=tail).div_(-math.pi).add_(1.0)
        cosine.mul_(tail).add_(sine).clamp_(max=1.0)


@dataclass(frozen=True)
class NNGP(_InfiniteReLU):
    """Conjugate kernel of the network above: only its last layer is trained, or it is a Gaussian process (Lee et al. 2018,
    eqs. 4–5). K(x, z) = |x||z|/d · κ₁(κ₁(⋯ cos(x, z))) with κ₁ applied L − 1 times, which is E f(x)f(z) / 2.
    Raises :class:`bfc.errors.UserError` unless depth ≥ 2."""

    @property
    def label(self) -> str:
        return f"ReLU NNGP (depth {self.depth})"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        cosine, x_norm, z_norm = self._cosine(x, z)
        tail, sine = torch.empty_like(cosine), torch.empty_like(cosine)
        for _ in range(self.depth - 1):
            self._layer(cosine, tail, sine)
        return cosine.mul_(x_norm).mul_(z_norm)


@dataclass(frozen=True)
class NTK(_InfiniteReLU):
    """Neural tangent kernel of the network above, every layer trained, in the NTK parametrisation (the √(2/fan_in) stands
    outside the trained weights). Θ₁ = c, Θ_{l+1} = κ₁(c_l) + κ₀(c_l) Θ_l, c_{l+1} = κ₁(c_l) (Jacot et al. 2018, theorem 1)
    and K(x, z) = |x||z|/(d L) · Θ_L, which is the tangent kernel divided by 2L.
    Raises :class:`bfc.errors.UserError` unless depth ≥ 2."""

    @property
    def label(self) -> str:
        return f"ReLU NTK (depth {self.depth})"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        cosine, x_norm, z_norm = self._cosine(x, z)
        tangent, tail, sine = cosine.clone(), torch.empty_like(cosine), torch.empty_like(cosine)
        for _ in range(self.depth - 1):
            self._layer(cosine, tail, sine)
            tangent.mul_(tail).add_(cosine)
        return tangent.mul_(x_norm / self.depth).mul_(z_norm)
