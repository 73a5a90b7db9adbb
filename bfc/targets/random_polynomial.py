"""Controls without hierarchy: a random polynomial with the degree, the variance and, degree by
degree, the share of it that a composition of quadratics (its twin) has. In all directions of the
input nothing but the number of samples can help, depth least of all. In the few linear forms that
the twin reads only the composition is gone: levels of exact width gain nothing there, but a wider
deep network with free read-outs still learns such a polynomial, since a low-dimensional subspace is
a structure that depth can use, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets.level_moments import degree_variances, read_basis
from bfc.targets.quadratic_densenet import QuadraticDenseNet, QuadraticDraw
from bfc.types import Theory

ROWS = 512
"""Rows whose label is computed at a time, so that the powers of all ridge functions stay in the
cache."""


@dataclass(frozen=True)
class RandomPolynomial(QuadraticDenseNet):
    """f*(x) = Σ_k √V_k Σ_m a_{k,m} He_k(v_m·x) / norm_k, k = 1 … degree, m = 1 … ``terms``, x ~
    N(0, I_d).

    v_m are random unit vectors in R^d (``span: all``) or in the span of the linear forms that the
    twin, the :class:`QuadraticDenseNet` with the other keys and the same seed, reads (``span:
    twin``), a_{k,m} standard normal, and norm_k² = k! aᵀ (v·v')^k a makes the part of degree k have
    variance V_k exactly. It is a sum of ridge functions, hence a network with one hidden layer.
    ``levels``, ``features`` and what a learner is told are those of the twin, so that every learner
    and schedule of the twin runs here. Raises :class:`bfc.errors.UserError` on bad values, and with
    ``spectrum: matched`` where the twin's expansion is too large."""

    identity_name: ClassVar[str] = "bfc.targets.random_polynomial.RandomPolynomial"
    version: ClassVar[int] = 1

    terms: int = 128
    """Ridge functions; a random polynomial of degree k in r variables takes C(r + k − 1, k) of them
    in general."""
    span: Literal["all", "twin"] = "all"
    """Directions in which f* varies."""
    spectrum: Literal["matched", "top"] = "matched"
    """V_k: those of the twin, or all of its variance at the top degree."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.law == "gaussian",
            "target.law",
            self.law,
            "gaussian for a random polynomial, whose variance is exact there only",
        )
        require(
            1 <= self.terms <= 1 << 16, "target.terms", self.terms, "an integer from 1 to 65536"
        )

    def theory(self) -> Mapping[str, Theory]:
        return {
            "kernel": Theory(
                float(self.degree),
                "rate",
                "C(d, k) harmonics of degree k (Mei, Misiakiewicz & Montanari 2021)",
            )
        }

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> RandomPolynomialDraw:
        twin = super().draw(seeds, dtype, device)
        directions, coefficients = zip(
            *(self._one(twin.select([r]), seed) for r, seed in enumerate(seeds)), strict=True
        )
        cast = {"dtype": dtype, "device": device}
        return RandomPolynomialDraw(
            **{name: getattr(twin, name) for name in twin.__dataclass_fields__},
            directions=torch.stack(directions).to(**cast),
            coefficients=torch.stack(coefficients).to(**cast),
        )

    def _one(self, twin: QuadraticDraw, seed: int) -> tuple[Tensor, Tensor]:
        """v (terms, d) and √V_k a / norm_k for orthonormal Hermite polynomials (degree, terms) of
        one seed, float64."""
        rows = {
            level: {j: w[0] for j, w in parts.items()} for level, parts in twin.moments.rows.items()
        }
        basis = (
            read_basis(self, rows)
            if self.span == "twin"
            else torch.eye(self.d, dtype=torch.float64)
        )
        v = random.normal(
            [seed], f"target/{self.d}/random/v", (self.terms, len(basis)), torch.float64
        )[0]
        v /= v.norm(dim=1, keepdim=True)
        a = random.normal(
            [seed], f"target/{self.d}/random/a", (self.degree, self.terms), torch.float64
        )[0]
        if self.spectrum == "top":
            shares = torch.zeros(self.degree, dtype=torch.float64)
            shares[-1] = twin.variance[0]
        else:
            shares = degree_variances(self, rows)
        between = v @ v.mT
        norms = torch.stack([a_k @ (between**k) @ a_k for k, a_k in enumerate(a, start=1)])
        return v @ basis, a * (shares / norms).sqrt().unsqueeze(1)


@dataclass(frozen=True)
class RandomPolynomialDraw(QuadraticDraw):
    """R realisations of a :class:`RandomPolynomial`; features are those of its twin."""

    directions: Tensor
    """v_m, (R, terms, d)."""
    coefficients: Tensor
    """Of the orthonormal Hermite polynomials of v_m·x, degrees 1 … degree: (R, degree, terms)."""

    @property
    def variance_error(self) -> Tensor:
        return torch.zeros_like(self.moments.variance)

    def labels(self, x: Tensor) -> Tensor:
        return torch.cat([self._labels(rows) for rows in x.split(ROWS, 1)], 1)

    def _labels(self, x: Tensor) -> Tensor:
        t = torch.bmm(x, self.directions.mT)
        before, h = torch.zeros_like(t), torch.ones_like(t)
        y = torch.zeros(x.shape[:2], dtype=x.dtype, device=x.device)
        for k in range(1, self.target.degree + 1):
            before.mul_(-((k - 1) ** 0.5)).addcmul_(t, h).div_(k**0.5)
            before, h = h, before
            y += torch.bmm(h, self.coefficients[:, k - 1].unsqueeze(2)).squeeze(2)
        return y

    def select(self, index: Sequence[int]) -> RandomPolynomialDraw:
        i = torch.as_tensor(index, device=self.directions.device)
        return replace(
            super().select(index), directions=self.directions[i], coefficients=self.coefficients[i]
        )
