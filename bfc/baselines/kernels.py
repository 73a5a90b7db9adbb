"""Closed-form kernels: the methods that lower bounds on hierarchical targets are about.

Inner-product and distance kernels and infinitely wide networks, one frozen dataclass each. Each
gives only ``gram`` and ``label``; the learning curve comes from
:class:`bfc.baselines.ridge.KernelRidge`. All are normalised so that K(x, x) = 1 where |x|² = d,
which is typical of the inputs, and work in place, since a kernel matrix is the largest thing in
memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc.baselines.checks import (
    NOT_NEGATIVE,
    POSITIVE,
    check_parameter,
    format_parameter,
    integers_from,
    require_chosen,
)
from bfc.baselines.ridge import KernelRidge


@dataclass(frozen=True)
class Polynomial(KernelRidge):
    """((offset + x·z/d) / (offset + 1))^degree.

    Raises :class:`bfc.errors.UserError` unless degree ≥ 1 and offset ≥ 0.
    """

    identity_name: ClassVar[str] = "bfc.baselines.kernels.Polynomial"

    degree: int | Literal["auto"] = 4
    degree_grid: tuple[int, ...] = (2, 3, 4, 6, 8)
    offset: float | Literal["auto"] = 1.0
    offset_grid: tuple[float, ...] = (0.25, 1.0, 4.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        degrees = check_parameter("degree", self.degree, self.degree_grid, integers_from(1))
        object.__setattr__(self, "degree_grid", degrees)
        offsets = check_parameter("offset", self.offset, self.offset_grid, NOT_NEGATIVE)
        object.__setattr__(self, "offset_grid", offsets)

    @property
    def label(self) -> str:
        offset = "" if self.offset == 1 else f", offset {format_parameter(self.offset)}"
        return f"polynomial kernel (degree {format_parameter(self.degree)}{offset})"

    def rank(self, width: int) -> float:
        """Monomials of degree at most ``degree``, or of that degree without an offset."""
        degree = require_chosen(self.degree)
        return math.comb(width + degree - (self.offset == 0), degree)

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        degree, offset = require_chosen(self.degree), require_chosen(self.offset)
        scale = 1 / (offset + 1)
        return (x @ z.mT).mul_(scale / x.shape[1]).add_(offset * scale).pow_(degree)


@dataclass(frozen=True)
class _Distance(KernelRidge):
    """A kernel of |x − z|."""

    bandwidth: float | Literal["auto"] = 1.0
    bandwidth_grid: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        bandwidths = check_parameter("bandwidth", self.bandwidth, self.bandwidth_grid, POSITIVE)
        object.__setattr__(self, "bandwidth_grid", bandwidths)

    def _distance(self, x: Tensor, z: Tensor) -> Tensor:
        """|x − z| / (bandwidth √d), (N, M).

        It is not computed as |x|² + |z|² − 2x·z, which loses half of the digits at x ≈ z.
        """
        distance = torch.cdist(x, z, compute_mode="donot_use_mm_for_euclid_dist")
        return distance.div_(require_chosen(self.bandwidth) * math.sqrt(x.shape[1]))


@dataclass(frozen=True)
class RBF(_Distance):
    """exp(−|x − z|² / (2 bandwidth² d)).

    Raises :class:`bfc.errors.UserError` unless bandwidth > 0.
    """

    identity_name: ClassVar[str] = "bfc.baselines.kernels.RBF"

    @property
    def label(self) -> str:
        return f"RBF kernel (bandwidth {format_parameter(self.bandwidth)})"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        return self._distance(x, z).square_().mul_(-0.5).exp_()


@dataclass(frozen=True)
class Laplace(_Distance):
    """exp(−|x − z| / (bandwidth √d)).

    Raises :class:`bfc.errors.UserError` unless bandwidth > 0.
    """

    identity_name: ClassVar[str] = "bfc.baselines.kernels.Laplace"

    @property
    def label(self) -> str:
        return f"Laplace kernel (bandwidth {format_parameter(self.bandwidth)})"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        return self._distance(x, z).neg_().exp_()


@dataclass(frozen=True)
class _InfiniteReLU(KernelRidge):
    """Infinitely wide ReLU networks with ``depth`` = L weight layers, L − 1 of them hidden.

    h₁ = √(2/d) W₁x + √β b₁, h_{l+1} = √(2/m) W_{l+1} φ(h_l) + √β b_{l+1}, f = h_L, all W and b
    standard normal. That is weights of variance 2/fan_in (He) and biases of variance β = ``bias``.
    Without biases f(tx) = t f(x), which would favour every claim that kernels fail on polynomials.
    """

    depth: int | Literal["auto"] = 3
    depth_grid: tuple[int, ...] = (2, 3, 5)
    bias: float | Literal["auto"] = 0.1
    bias_grid: tuple[float, ...] = (0.01, 0.1, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        depths = check_parameter("depth", self.depth, self.depth_grid, integers_from(2))
        object.__setattr__(self, "depth_grid", depths)
        biases = check_parameter("bias", self.bias, self.bias_grid, NOT_NEGATIVE)
        object.__setattr__(self, "bias_grid", biases)

    @property
    def _architecture(self) -> str:
        notes: dict[float | str, str] = {"auto": ", bias tuned", 0: ", no bias"}
        bias = notes.get(self.bias, "")
        return f"depth {format_parameter(self.depth)}{bias}"

    def _covariance(self, x: Tensor, z: Tensor, tangent: bool) -> Tensor:
        """Σ_L, or Θ_L if ``tangent``, of the rows of ``x`` (N, d) and ``z`` (M, d) → (N, M).

        Σ₁ = 2 x·z/d + β and Θ₁ = Σ₁; with v_l(x) = Σ_l(x, x) and the correlation c = cos θ = Σ_l /
        √(v_l(x) v_l(z)): Σ_{l+1} = √(v_l(x) v_l(z)) κ₁(c) + β, Θ_{l+1} = Σ_{l+1} + κ₀(c) Θ_l,
        v_{l+1} = v_l + β, where κ₁(c) = (sin θ + (π − θ) cos θ)/π and κ₀(c) = (π − θ)/π are the
        arc-cosine kernels of degree 1 and 0, that is 2 E φ(u)φ(v) and 2 E φ'(u)φ'(v) for unit
        Gaussians of correlation c (Cho & Saul 2009, eqs. 3–6). Correlations within 1e-14 of one,
        which is their rounding error, become one: the angle has a square-root singularity there,
        and K(x, x) should not feel it.
        """
        depth, bias = require_chosen(self.depth), require_chosen(self.bias)
        sigma = x @ z.mT
        variances = (x.square().sum(1, keepdim=True), z.square().sum(1))
        for part in (sigma, *variances):
            part.mul_(2 / x.shape[1]).add_(bias)
        theta = sigma.clone() if tangent else None
        kappa_0, sine = torch.empty_like(sigma), torch.empty_like(sigma)
        for layer in range(depth - 1):
            deviations = []
            for v in variances:
                deviations.append(v.add(layer * bias).sqrt_().clamp_min_(torch.finfo(v.dtype).tiny))
            for deviation in deviations:
                sigma.div_(deviation)
            sigma.masked_fill_(sigma > 1 - 1e-14, 1.0).clamp_(min=-1.0)
            torch.mul(sigma, sigma, out=sine).neg_().add_(1.0).sqrt_().div_(math.pi)
            torch.acos(sigma, out=kappa_0).div_(-math.pi).add_(1.0)
            sigma.mul_(kappa_0).add_(sine)
            for deviation in deviations:
                sigma.mul_(deviation)
            sigma.add_(bias)
            if theta is not None:
                theta.mul_(kappa_0).add_(sigma)
        return sigma if theta is None else theta


@dataclass(frozen=True)
class NNGP(_InfiniteReLU):
    """Conjugate kernel Σ_L / (2 + Lβ) of a ReLU network of infinite width.

    Only its last layer is trained, or it is a Gaussian process (Lee et al. 2018, eqs. 4–5). The
    network: ``depth`` = L weight layers, weights N(0, 2/fan_in), biases N(0, β) with β = ``bias``;
    the recursion is in ``_covariance``. Raises :class:`bfc.errors.UserError` unless depth ≥ 2 and
    bias ≥ 0.
    """

    identity_name: ClassVar[str] = "bfc.baselines.kernels.NNGP"

    @property
    def label(self) -> str:
        return f"ReLU NNGP ({self._architecture})"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        scale = 2 + require_chosen(self.depth) * require_chosen(self.bias)
        return self._covariance(x, z, tangent=False).div_(scale)


@dataclass(frozen=True)
class NTK(_InfiniteReLU):
    """Neural tangent kernel Θ_L / (2L + β L(L+1)/2) of a ReLU network of infinite width.

    Every layer is trained (Jacot et al. 2018, theorem 1). The network: ``depth`` = L weight layers
    in the NTK parametrisation (√(2/fan_in) and √β stand outside the standard normal weights and
    biases that are trained), β = ``bias``; the recursion is in ``_covariance``. Raises
    :class:`bfc.errors.UserError` unless depth ≥ 2 and bias ≥ 0.
    """

    identity_name: ClassVar[str] = "bfc.baselines.kernels.NTK"

    @property
    def label(self) -> str:
        return f"ReLU NTK ({self._architecture})"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        depth, bias = require_chosen(self.depth), require_chosen(self.bias)
        scale = 2 * depth + bias * depth * (depth + 1) / 2
        return self._covariance(x, z, tangent=True).div_(scale)
