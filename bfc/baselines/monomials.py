"""Regression on all monomials up to a degree: what sum-of-squares-like algorithms and every convex
relaxation of that degree work with, at a price of C(d + q, q) features. Ridge regression here;
sparse regression on the same features is :mod:`bfc.baselines.lasso`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc.baselines.features import FeatureRidge
from bfc.baselines.ridge import available_memory, is_integer
from bfc.errors import UserError, require
from bfc.types import Target

MOST = 1_000_000
"""Largest number of monomials that is ever attempted: with 4096 points a matrix of 33 GB."""
Basis = Literal["hermite", "monomial"]


def products(x: Tensor, degree: int, basis: Basis) -> Tensor:
    """All products of one-variable polynomials of total degree ≤ ``degree`` at the rows of ``x``
    (N, d) → (N, C(d + degree, degree)), by total degree. ``hermite``: orthonormal He_e / √e!;
    ``monomial``: powers x^e / √(2e − 1)!!. Both have mean square one for normal x."""
    ones = torch.ones_like(x[:, :1])
    exactly = [ones, *[ones[:, :0]] * degree]
    for column in x.mT.flip(0).unsqueeze(2):
        h = [ones, column][: degree + 1]
        for e in range(2, degree + 1):
            if basis == "hermite":
                h.append((column * h[-1] - math.sqrt(e - 1) * h[-2]) / math.sqrt(e))
            else:
                h.append(column * h[-1] / math.sqrt(2 * e - 1))
        exactly = [
            torch.cat([h[e] * exactly[m - e] for e in range(m + 1)], 1) for m in range(degree + 1)
        ]
    return torch.cat(exactly, 1)


def check_values(degree: int, basis: Basis) -> None:
    """Refuse what :func:`products` does not know."""
    require(
        is_integer(degree) and 1 <= degree <= 64,
        "baseline.degree",
        degree,
        "an integer from 1 to 64",
    )
    require(basis in ("hermite", "monomial"), "baseline.basis", basis, "hermite or monomial")


def require_few(degree: int, width: int, rows: int) -> None:
    """Refuse a degree whose monomials are too many, or do not fit in memory for this many rows,
    with their count."""
    count = math.comb(width + degree, degree)
    tail = f"C({width} + {degree}, {degree}) = {count} monomials of {width} coordinates"
    if count > MOST:
        raise UserError(
            f"baseline.degree={degree}: must be smaller: there are {tail}, more than {MOST}"
        )
    needed, free = 8 * count * rows, available_memory()
    if needed > free:
        raise UserError(
            f"baseline.degree={degree}: must be smaller, or baseline.n_max: {tail} at {rows} rows take "
            f"{needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free"
        )


@dataclass(frozen=True)
class Monomials(FeatureRidge):
    """Ridge regression on all monomials of total degree ≤ ``degree``, each of mean square one for
    normal x and divided by the root of their number. Raises :class:`bfc.errors.UserError` where
    there are too many."""

    identity_name: ClassVar[str] = "bfc.baselines.monomials.Monomials"

    degree: int = 4
    basis: Basis = "hermite"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_values(self.degree, self.basis)

    @property
    def label(self) -> str:
        return f"monomial regression (degree {self.degree}{', raw' if self.basis == 'monomial' else ''})"

    def check(self, target: Target) -> None:
        require_few(self.degree, target.input_width, self.n_max)

    def count(self, width: int) -> int:
        return math.comb(width + self.degree, self.degree)

    def features(self, x: Tensor, seed: int) -> Tensor:
        return products(x, self.degree, self.basis).div_(math.sqrt(self.count(x.shape[1])))
