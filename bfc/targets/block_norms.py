"""Polynomials of the squared norms z_b = |x_b|² of disjoint blocks of coordinates, exactly.

Functions g(xᵀAx) of quadratic forms with eigenvalues ±1 and 0 are such polynomials, and the space
is closed under the Laplacian. In rational arithmetic means, variances and the share of every
harmonic degree are therefore exact, for any rank, number of forms and degree, with no sampling.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property, lru_cache

from bfc.targets.harmonics import Law

Poly = Mapping[tuple[int, ...], Fraction]
"""Exponents of z_1 ... z_B → coefficient."""


class Blocks:
    """The algebra for blocks of the given sizes (their sum is d) under an input law."""

    def __init__(self, law: Law, sizes: Sequence[int]) -> None:
        self.law = law
        self.sizes = tuple(sizes)
        self.d = sum(sizes)

    @cached_property
    def one(self) -> Poly:
        """The constant 1."""
        return {(0,) * len(self.sizes): Fraction(1)}

    def form(self, signs: Sequence[int]) -> Poly:
        """The quadratic form Σ_b sign_b z_b."""
        form: dict[tuple[int, ...], Fraction] = {}
        for block, sign in enumerate(signs):
            if sign:
                exponents = tuple(int(i == block) for i in range(len(self.sizes)))
                form[exponents] = Fraction(sign)
        return form

    @staticmethod
    def add(*terms: tuple[Fraction, Poly]) -> Poly:
        """Σ c p over pairs (c, p)."""
        total: dict[tuple[int, ...], Fraction] = {}
        for c, p in terms:
            for e, v in p.items():
                total[e] = total.get(e, Fraction(0)) + c * v
        return {e: v for e, v in total.items() if v}

    @staticmethod
    def times(p: Poly, q: Poly) -> Poly:
        """p q."""
        total: dict[tuple[int, ...], Fraction] = {}
        for e, v in p.items():
            for f, w in q.items():
                g = tuple(a + b for a, b in zip(e, f, strict=True))
                total[g] = total.get(g, Fraction(0)) + v * w
        return total

    def mean(self, p: Poly) -> Fraction:
        """E p(x).

        Gaussian: E Π z_b^{n_b} = Π 2^{n_b} (d_b/2)_{n_b}; sphere of radius √d: times
        d^n / (2^n (d/2)_n), n = Σ n_b.
        """
        return sum((v * self._moment(e) for e, v in p.items()), Fraction(0))

    def _moment(self, exponents: tuple[int, ...]) -> Fraction:
        value = Fraction(1)
        for size, n in zip(self.sizes, exponents, strict=True):
            value *= _rising(size, n)
        if self.law == "gaussian":
            return value
        total = sum(exponents)
        return value * Fraction(self.d**total) / _rising(self.d, total)

    def covariance(self, p: Poly, q: Poly) -> Fraction:
        """Cov(p(x), q(x))."""
        return self.mean(self.times(p, q)) - self.mean(p) * self.mean(q)

    def shares(self, p: Poly) -> dict[int, float]:
        """Variance of p(x) in every degree k of x (only even ones occur).

        The projections Π_{j≠k} (G − λ_j)/(λ_k − λ_j) are on the eigenspaces of the generator G of
        the law (:meth:`generator`), whose eigenfunctions of degree k are the harmonics of degree k.
        """
        top = max((sum(e) for e in p), default=0)
        eigenvalues = {2 * n: self._eigenvalue(2 * n) for n in range(top + 1)}
        shares = {}
        for k, eigenvalue in eigenvalues.items():
            part = p
            for j, other in eigenvalues.items():
                if j != k:
                    gap = eigenvalue - other
                    part = self.add((1 / gap, self.generator(part)), (-other / gap, part))
            shares[k] = float(self.covariance(part, part))
        return shares

    def _eigenvalue(self, degree: int) -> Fraction:
        return Fraction(-degree if self.law == "gaussian" else -degree * (degree + self.d - 2))

    def generator(self, p: Poly) -> Poly:
        """Generator of the diffusion whose stationary law is that of x, applied to p.

        Gaussian: Δp − x·∇p. Sphere: the spherical Laplacian r²Δp − k(k+d−2) p per homogeneous
        part of degree k, where r² = Σ z_b. Δ z^e = Σ_b (4 e_b (e_b − 1) + 2 d_b e_b) z^{e − 1_b}.
        """
        total: dict[tuple[int, ...], Fraction] = {}

        def put(e: tuple[int, ...], v: Fraction) -> None:
            total[e] = total.get(e, Fraction(0)) + v

        for e, v in p.items():
            k = 2 * sum(e)
            put(e, v * self._eigenvalue(k))
            for lowered, factor in self._lowered(e):
                if self.law == "gaussian":
                    put(lowered, v * factor)
                else:
                    for b in range(len(e)):
                        put(tuple(n + (i == b) for i, n in enumerate(lowered)), v * factor)
        return {e: v for e, v in total.items() if v}

    def _lowered(self, e: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], int]]:
        """The terms of Δ z^e: exponents and factors."""
        for b, (n, size) in enumerate(zip(e, self.sizes, strict=True)):
            if n:
                yield tuple(m - (i == b) for i, m in enumerate(e)), 4 * n * (n - 1) + 2 * size * n


@lru_cache(maxsize=4096)
def _rising(size: int, n: int) -> Fraction:
    """2^n (size/2)_n = size (size + 2) ... (size + 2n − 2)."""
    value = Fraction(1)
    for i in range(n):
        value *= size + 2 * i
    return value
