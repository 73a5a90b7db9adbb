"""Ridge regression on all monomials up to a degree.

Sum-of-squares-like algorithms and every convex relaxation of degree q work with these C(d + q, q)
features. Sparse regression on the same features is :mod:`bfc.baselines.lasso`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc.baselines.checks import check_option, check_value, integers_from
from bfc.baselines.features import FeatureRidge
from bfc.baselines.memory import available_memory
from bfc.errors import UserError
from bfc.types import Target

MAX_MONOMIALS = 1_000_000
"""Largest number of monomials that is ever attempted: with 4096 points a matrix of 33 GB."""
Basis = Literal["hermite", "monomial"]


def products(x: Tensor, degree: int, basis: Basis) -> Tensor:
    """All products of one-variable polynomials of total degree ≤ ``degree`` at the rows of ``x``.

    (N, d) → (N, C(d + degree, degree)), by total degree. ``hermite``: orthonormal He_e / √e!;
    ``monomial``: powers x^e / √(2e − 1)!!. Both have mean square one for normal x.
    """
    ones = torch.ones_like(x[:, :1])
    by_degree = [ones, *[ones[:, :0]] * degree]
    for column in x.mT.flip(0).unsqueeze(2):
        h = _polynomials(column, degree, basis)
        longer = []
        for m in range(degree + 1):
            longer.append(torch.cat([h[e] * by_degree[m - e] for e in range(m + 1)], 1))
        by_degree = longer
    return torch.cat(by_degree, 1)


def _polynomials(column: Tensor, degree: int, basis: Basis) -> list[Tensor]:
    """The polynomials of one variable (N, 1) of every degree up to ``degree``."""
    h = [torch.ones_like(column), column][: degree + 1]
    for e in range(2, degree + 1):
        if basis == "hermite":
            h.append((column * h[-1] - math.sqrt(e - 1) * h[-2]) / math.sqrt(e))
        else:
            h.append(column * h[-1] / math.sqrt(2 * e - 1))
    return h


def check_basis(degree: int, basis: Basis) -> None:
    """Refuse what :func:`products` does not know."""
    check_value("degree", degree, integers_from(1, 64))
    check_option("basis", basis, ("hermite", "monomial"))


def describe_basis(degree: int, basis: Basis) -> str:
    """Degree and basis in a label."""
    return f"degree {degree}{', raw' if basis == 'monomial' else ''}"


def require_few(degree: int, width: int, rows: int) -> None:
    """Refuse a degree with too many monomials, or more than fit in memory for ``rows`` rows."""
    count = math.comb(width + degree, degree)
    description = f"C({width} + {degree}, {degree}) = {count} monomials of {width} coordinates"
    if count > MAX_MONOMIALS:
        raise UserError(
            f"baseline.degree={degree}: must be smaller: there are {description}, more than "
            f"{MAX_MONOMIALS}"
        )
    needed, free = 8 * count * rows, available_memory()
    if needed > free:
        raise UserError(
            f"baseline.degree={degree}: must be smaller, or baseline.n_max: {description} at "
            f"{rows} rows take {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free"
        )


@dataclass(frozen=True)
class Monomials(FeatureRidge):
    """Ridge regression on all monomials of total degree ≤ ``degree``.

    Each is of mean square one for normal x and divided by the root of their number. Raises
    :class:`bfc.errors.UserError` where there are too many.
    """

    identity_name: ClassVar[str] = "bfc.baselines.monomials.Monomials"

    degree: int = 4
    basis: Basis = "hermite"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_basis(self.degree, self.basis)

    @property
    def label(self) -> str:
        return f"monomial regression ({describe_basis(self.degree, self.basis)})"

    def check(self, target: Target) -> None:
        require_few(self.degree, target.input_width, self.n_max)

    def count(self, width: int) -> int:
        return math.comb(width + self.degree, self.degree)

    def features(self, x: Tensor, seed: int) -> Tensor:
        return products(x, self.degree, self.basis).div_(math.sqrt(self.count(x.shape[1])))
