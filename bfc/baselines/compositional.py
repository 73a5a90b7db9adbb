"""Kernels of infinitely wide quadratic networks with skip links.

They are the "neural compositional kernels" closest to the learner that the paper proves its theorem
for (arXiv:2001.04413, section on lower bounds; recalled): they have the architecture of the
hierarchical learner, and degree 2^(L−1), but nothing in them is learned below the read-out
(conjugate kernel) or they move only to first order (tangent kernel).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from bfc.baselines.checks import NOT_NEGATIVE, check_option, check_value, integers_from
from bfc.baselines.ridge import KernelRidge


class _Values(NamedTuple):
    """Values of a kernel: of the rows x with the rows z, and of both with themselves."""

    xz: Tensor
    xx: Tensor
    zz: Tensor


@dataclass(frozen=True)
class _QuadraticNetwork(KernelRidge):
    """Infinitely wide networks with levels 2 … L = ``depth``.

    u_0 = x, and for l ≥ 2 z_l = (Σ_{j∈J_l} W_{l,j} u_j / √width_j + √β b_l) / √(|J_l| + β), u_l =
    (z_l² − 1)/√2, f = (c + a_0·x/√d + Σ_l a_l·u_l/√width_l) / √(L + 1), all W, b, a, c standard
    normal and β = ``bias``. J_l = {l−1} (``chain``), {l−1, 0} (``skip``) or {0, 2, …, l−1}
    (``dense``), where level 2 has {0}.
    """

    depth: int = 3
    links: Literal["chain", "skip", "dense"] = "skip"
    bias: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_value("depth", self.depth, integers_from(2, 16))
        check_option("links", self.links, ("chain", "skip", "dense"))
        check_value("bias", self.bias, NOT_NEGATIVE)

    def rank(self, width: int) -> float:
        """Monomials of degree at most 2^(L−1)."""
        degree = 2 ** (self.depth - 1)
        return math.comb(width + degree, degree)

    def _below(self, level: int) -> list[int]:
        """J_l, for a level of 2 … L."""
        previous = level - 1 if level > 2 else 0
        if self.links == "chain":
            return [previous]
        if self.links == "skip":
            return sorted({previous, 0})
        return [0, *range(2, level)]

    def _kernel(self, x: Tensor, z: Tensor, tangent: bool) -> Tensor:
        """E f(x) f(z), or the tangent kernel if ``tangent``, at ``x`` (N, d), ``z`` (M, d): (N, M).

        For jointly Gaussian p, q of covariance Σ: E (p² − 1)(q² − 1)/2 = Σ_pq² + (Σ_pp − 1)(Σ_qq −
        1)/2 and E √2p √2q = 2 Σ_pq, so with Σ_l = (Σ_j K_j + β)/(|J_l| + β) and Θ_l = Σ_l + Σ_j
        T_j/(|J_l| + β): K_l = Σ_l² + (v_l(x) − 1)(v_l(z) − 1)/2 and T_l = 2 Σ_l Θ_l, where v_l(x) =
        Σ_l(x, x) and K_0 = x·z/d, T_0 = 0. The kernel of f is the mean of 1, K_0, K_2 … K_L, for
        the tangent kernel with T_l added to each K_l.
        """
        width = x.shape[1]
        squares = x.square().mean(1, keepdim=True), z.square().mean(1)
        kernels = {0: _Values((x @ z.mT).div_(width), *squares)}
        tangents: dict[int, Tensor] = {}
        total = kernels[0].xz + 1
        for level in range(2, self.depth + 1):
            below = self._below(level)
            share = 1 / (len(below) + self.bias)
            inputs = [kernels[j] for j in below]
            sigma = _Values(*(self._mean(values) for values in zip(*inputs, strict=True)))
            if tangent:
                inner = [tangents[j] for j in below if j in tangents]
                theta = sigma.xz
                if inner:
                    theta = theta + share * functools.reduce(torch.add, inner)
                tangents[level] = 2 * sigma.xz * theta
                total += tangents[level]
            kernels[level] = _square(sigma)
            total += kernels[level].xz
        return total.div_(self.depth + 1)

    def _mean(self, values: tuple[Tensor, ...]) -> Tensor:
        """Σ_l from the K_j below it."""
        share = 1 / (len(values) + self.bias)
        return (functools.reduce(torch.add, values) + self.bias).mul_(share)

    def _typical(self, tangent: bool) -> float:
        """The kernel at |x|² = d, where every K_l is one."""
        tangents: dict[int, float] = {}
        for level in range(2, self.depth + 1):
            below = self._below(level)
            inner = sum(tangents.get(j, 0.0) for j in below)
            tangents[level] = 2 * (1 + inner / (len(below) + self.bias))
        return 1 + (sum(tangents.values()) / (self.depth + 1) if tangent else 0.0)

    @property
    def _architecture(self) -> str:
        return f"depth {self.depth}, {self.links}{'' if self.bias else ', no bias'}"


def _square(sigma: _Values) -> _Values:
    """K_l from Σ_l."""

    def kernel(pq: Tensor, pp: Tensor, qq: Tensor) -> Tensor:
        return pq.square() + 0.5 * (pp - 1) * (qq - 1)

    return _Values(
        kernel(*sigma),
        kernel(sigma.xx, sigma.xx, sigma.xx),
        kernel(sigma.zz, sigma.zz, sigma.zz),
    )


@dataclass(frozen=True)
class QuadraticNNGP(_QuadraticNetwork):
    """Conjugate kernel of a quadratic network of infinite width: only its read-outs are trained.

    The network and the recursion are in the base class. Raises :class:`bfc.errors.UserError` on
    invalid values.
    """

    identity_name: ClassVar[str] = "bfc.baselines.compositional.QuadraticNNGP"

    @property
    def label(self) -> str:
        return f"quadratic NNGP ({self._architecture})"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        return self._kernel(x, z, tangent=False)


@dataclass(frozen=True)
class QuadraticNTK(_QuadraticNetwork):
    """Tangent kernel of a quadratic network of infinite width, divided by its value at |x|² = d.

    Every level is trained to first order. The network and the recursion are in the base class.
    Raises :class:`bfc.errors.UserError` on invalid values.
    """

    identity_name: ClassVar[str] = "bfc.baselines.compositional.QuadraticNTK"

    @property
    def label(self) -> str:
        return f"quadratic NTK ({self._architecture})"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        return self._kernel(x, z, tangent=True).div_(self._typical(tangent=True))
