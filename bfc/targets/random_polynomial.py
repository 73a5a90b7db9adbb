"""Controls without hierarchy: random polynomials matched to a composition of quadratics (the twin).

They have the twin's degree, its variance and, degree by degree, the same share of it. In all
directions of the input nothing but the number of samples can help, depth least of all. In the few
linear forms that the twin reads only the composition is gone: levels of exact width gain nothing
there, but a wider deep network with free read-outs still learns such a polynomial, since a
low-dimensional subspace is a structure that depth can use, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets.kernel_rate import kernel_rate
from bfc.targets.level_expansion import degree_variances, index_rows, read_basis
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.targets.quadratic_draw import QuadraticDraw
from bfc.types import Theory

ROWS = 512
"""Rows whose labels are computed at a time: the powers of all ridge functions stay in the cache."""


@dataclass(frozen=True)
class RandomPolynomial(QuadraticDenseNet):
    """f*(x) = Σ_k √V_k Σ_m a_{k,m} He_k(v_m·x) / norm_k, x ~ N(0, I_d).

    k = 1 … degree, m = 1 … ``terms``. v_m are random unit vectors in R^d (``span: all``) or in the
    span of the linear forms that the twin, the :class:`QuadraticDenseNet` with the other keys and
    the same seed, reads (``span: twin``), a_{k,m} standard normal, and norm_k² = k! aᵀ (v·v')^k a
    makes the part of degree k have variance V_k exactly. It is a sum of ridge functions, hence a
    network with one hidden layer. ``levels``, ``features`` and what is revealed to a learner are
    those of the twin, so that every learner and schedule of the twin runs here.

    Raises :class:`bfc.errors.UserError` on bad values, and with ``spectrum: matched`` where the
    twin's expansion is too large.
    """

    identity_name: ClassVar[str] = "bfc.targets.random_polynomial.RandomPolynomial"
    version: ClassVar[int] = 1

    terms: int = 128
    """Number of ridge functions.

    A random polynomial of degree k in r variables takes C(r + k − 1, k) of them in general."""
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
        return {"kernel": kernel_rate(self.degree)}

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> RandomPolynomialDraw:
        twin = super().draw(seeds, dtype, device)
        directions = []
        coefficients = []
        for position, seed in enumerate(seeds):
            v, a = self._draw_ridges(twin.select([position]), seed)
            directions.append(v)
            coefficients.append(a)
        return RandomPolynomialDraw(
            **{field.name: getattr(twin, field.name) for field in fields(twin)},
            directions=torch.stack(directions).to(device, dtype),
            coefficients=torch.stack(coefficients).to(device, dtype),
        )

    def _draw_ridges(self, twin: QuadraticDraw, seed: int) -> tuple[Tensor, Tensor]:
        """The ridge functions of one seed, float64.

        v (terms, d) and √V_k a / norm_k for orthonormal Hermite polynomials (degree, terms).
        """
        rows = index_rows(twin.moments.rows, 0)
        basis = torch.eye(self.d, dtype=torch.float64)
        if self.span == "twin":
            basis = read_basis(self, rows)
        stream = f"target/{self.d}/random"
        v = random.normal([seed], f"{stream}/v", (self.terms, len(basis)), torch.float64)[0]
        v /= v.norm(dim=1, keepdim=True)
        a = random.normal([seed], f"{stream}/a", (self.degree, self.terms), torch.float64)[0]
        if self.spectrum == "top":
            variances = torch.zeros(self.degree, dtype=torch.float64)
            variances[-1] = twin.variance[0]
        else:
            variances = degree_variances(self, rows)
        cosines = v @ v.mT
        norms = torch.stack([a_k @ (cosines**k) @ a_k for k, a_k in enumerate(a, start=1)])
        return v @ basis, a * (variances / norms).sqrt().unsqueeze(1)


@dataclass(frozen=True)
class RandomPolynomialDraw(QuadraticDraw):
    """R realisations of a :class:`RandomPolynomial`; features are those of its twin."""

    target: RandomPolynomial
    directions: Tensor
    """v_m, (R, terms, d)."""
    coefficients: Tensor
    """Of the orthonormal Hermite polynomials of v_m·x, degrees 1 … degree: (R, degree, terms)."""

    @property
    def variance_error(self) -> Tensor:
        return torch.zeros_like(self.moments.variance)

    @property
    def planted_subspace(self) -> Tensor | None:
        """The directions of the twin; None where f* varies in all."""
        return super().planted_subspace if self.target.span == "twin" else None

    def labels(self, x: Tensor) -> Tensor:
        return torch.cat([self._label_rows(rows) for rows in torch.split(x, ROWS, 1)], 1)

    def _label_rows(self, x: Tensor) -> Tensor:
        t = torch.bmm(x, self.directions.mT)
        previous, h = torch.zeros_like(t), torch.ones_like(t)
        y = torch.zeros(x.shape[:2], dtype=x.dtype, device=x.device)
        for k in range(1, self.target.degree + 1):
            previous.mul_(-((k - 1) ** 0.5)).addcmul_(t, h).div_(k**0.5)
            previous, h = h, previous
            y += torch.bmm(h, self.coefficients[:, k - 1].unsqueeze(2)).squeeze(2)
        return y

    def select(self, index: Sequence[int]) -> RandomPolynomialDraw:
        i = torch.as_tensor(index, device=self.directions.device)
        twin = super().select(index)
        assert isinstance(twin, RandomPolynomialDraw), "select keeps the class"
        return replace(twin, directions=self.directions[i], coefficients=self.coefficients[i])
