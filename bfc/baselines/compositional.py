"""Kernels of infinitely wide quadratic networks with skip links, the "neural compositional kernels"
closest to the learner that the paper proves its theorem for (arXiv:2001.04413, section on lower
bounds; recalled): they have the architecture of the hierarchical learner, and degree 2^(L−1), but
nothing in them is learned below the read-out (conjugate kernel) or they move only to first order
(tangent kernel)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from bfc.baselines.ridge import KernelRidge, is_integer, is_number
from bfc.errors import require


@dataclass(frozen=True)
class _QuadraticNetwork(KernelRidge):
    """Infinitely wide networks with levels 2 … L = ``depth``: u_0 = x, and for l ≥ 2 z_l =
    (Σ_{j∈J_l} W_{l,j} u_j / √width_j + √β b_l) / √(|J_l| + β), u_l = (z_l² − 1)/√2, f = (c +
    a_0·x/√d + Σ_l a_l·u_l/√width_l) / √(L + 1), all W, b, a, c standard normal and β = ``bias``.
    J_l = {l−1} (``chain``), {l−1, 0} (``skip``) or {0, 2, …, l−1} (``dense``), where level 2 has
    {0}."""

    depth: int = 3
    links: Literal["chain", "skip", "dense"] = "skip"
    bias: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            is_integer(self.depth) and 2 <= self.depth <= 16,
            "baseline.depth",
            self.depth,
            "an integer from 2 to 16",
        )
        require(
            self.links in ("chain", "skip", "dense"),
            "baseline.links",
            self.links,
            "chain, skip or dense",
        )
        require(
            is_number(self.bias) and self.bias >= 0, "baseline.bias", self.bias, "a number >= 0"
        )

    def rank(self, width: int) -> float:
        """Monomials of degree at most 2^(L−1)."""
        degree = 2 ** (self.depth - 1)
        return math.comb(width + degree, degree)

    def _below(self, level: int) -> list[int]:
        """J_l, for a level of 2 … L."""
        previous = level - 1 if level > 2 else 0
        return sorted(
            {"chain": {previous}, "skip": {previous, 0}, "dense": {0, *range(2, level)}}[self.links]
        )

    def _kernel(self, x: Tensor, z: Tensor, tangent: bool) -> Tensor:
        """E f(x) f(z), or the tangent kernel if ``tangent``, of ``x`` (N, d) and ``z`` (M, d) → (N,
        M).

        For jointly Gaussian p, q of covariance Σ: E (p² − 1)(q² − 1)/2 = Σ_pq² + (Σ_pp − 1)(Σ_qq −
        1)/2 and E √2p √2q = 2 Σ_pq, so with Σ_l = (Σ_j K_j + β)/(|J_l| + β) and Θ_l = Σ_l + Σ_j
        T_j/(|J_l| + β): K_l = Σ_l² + (v_l(x) − 1)(v_l(z) − 1)/2 and T_l = 2 Σ_l Θ_l, where v_l(x) =
        Σ_l(x, x) and K_0 = x·z/d, T_0 = 0. The kernel of f is the mean of 1, K_0, K_2 … K_L, for
        the tangent kernel with T_l added to each K_l."""
        d = x.shape[1]
        # level → kernel of x with z, of x and of z with themselves, and tangent part
        k: dict[int, tuple[Tensor, Tensor, Tensor]] = {
            0: ((x @ z.mT).div_(d), x.square().mean(1, keepdim=True), z.square().mean(1))
        }
        t: dict[int, Tensor] = {}
        total = k[0][0] + 1
        for level in range(2, self.depth + 1):
            below = self._below(level)
            share = 1 / (len(below) + self.bias)
            sigma, v_x, v_z = (
                (sum(parts) + self.bias).mul_(share)
                for parts in zip(*(k[j] for j in below), strict=True)
            )
            if tangent:
                moved = [t[j] for j in below if j in t]
                theta = sigma + share * sum(moved) if moved else sigma
                t[level] = 2 * sigma * theta
                total += t[level]
            k[level] = tuple(
                s.square() + 0.5 * (a - 1) * (b - 1)
                for s, a, b in ((sigma, v_x, v_z), (v_x, v_x, v_x), (v_z, v_z, v_z))
            )
            total += k[level][0]
        return total.div_(self.depth + 1)

    def _typical(self, tangent: bool) -> float:
        """The kernel at |x|² = d, where every K_l is one."""
        t: dict[int, float] = {}
        for level in range(2, self.depth + 1):
            below = self._below(level)
            t[level] = 2 * (1 + sum(t.get(j, 0.0) for j in below) / (len(below) + self.bias))
        return 1 + (sum(t.values()) / (self.depth + 1) if tangent else 0.0)

    @property
    def _architecture(self) -> str:
        return f"depth {self.depth}, {self.links}{'' if self.bias else ', no bias'}"


@dataclass(frozen=True)
class QuadraticNNGP(_QuadraticNetwork):
    """Conjugate kernel of a quadratic network of infinite width: only its read-outs are trained.
    The network and the recursion are in the base class. Raises :class:`bfc.errors.UserError` on bad
    values."""

    identity_name: ClassVar[str] = "bfc.baselines.compositional.QuadraticNNGP"

    @property
    def label(self) -> str:
        return f"quadratic NNGP ({self._architecture})"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        return self._kernel(x, z, tangent=False)


@dataclass(frozen=True)
class QuadraticNTK(_QuadraticNetwork):
    """Tangent kernel of a quadratic network of infinite width, every level trained to first order,
    divided by its value at |x|² = d. The network and the recursion are in the base class. Raises
    :class:`bfc.errors.UserError` on bad values."""

    identity_name: ClassVar[str] = "bfc.baselines.compositional.QuadraticNTK"

    @property
    def label(self) -> str:
        return f"quadratic NTK ({self._architecture})"

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """``x`` (N, d), ``z`` (M, d) → (N, M)."""
        return self._kernel(x, z, tangent=True).div_(self._typical(tangent=True))
