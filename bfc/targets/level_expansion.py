"""A composition of quadratics under N(0, I) as polynomials, level by level, exactly.

It depends on x only through the linear forms that its rows read, so the polynomials are in those
few orthonormal coordinates. What follows exactly from the expansion is here too: the variance of
the label by degree and its quadratic part.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bfc.errors import UserError
from bfc.targets import gaussian_polynomials as gp
from bfc.targets.capabilities import LevelComposition

RANK_TOLERANCE = 1e-10
"""Singular values below this share of the largest count as zero."""

LevelRows = dict[int, Tensor]
"""Rows of one level of one draw: source level → (k_level, width of source), float64."""
DrawRows = dict[int, LevelRows]
"""Rows of one draw, by level."""
StackedRows = dict[int, dict[int, Tensor]]
"""Rows of R draws: level → source level → (R, k_level, width of source)."""


def index_rows(rows: StackedRows, index: int | Tensor) -> StackedRows:
    """The rows of some of the draws, or of one draw, by position."""
    return {
        level: {source: w[index] for source, w in parts.items()} for level, parts in rows.items()
    }


@dataclass(frozen=True)
class LevelConstants:
    """The constants of one level of one draw."""

    rows: LevelRows
    """Rescaled so that every unit has variance one."""
    unit_sd: Tensor
    """Standard deviation of z^2 per unit, (k_level,)."""
    sd: float
    """c_l, standard deviation of |z_l|^2."""
    sd_error: float
    """Its standard error; zero where exact."""


class Expansion:
    """The composition expanded level by level as polynomials in the basis coordinates."""

    def __init__(self, basis: Tensor) -> None:
        self.basis = basis
        self.r = len(basis)
        coordinates = [gp.linear(row) for row in basis.T.numpy()]
        self.u: dict[int, list[np.ndarray]] = {0: coordinates}
        self.degrees = {0: 1, 1: 2}
        if self.r == basis.shape[1]:
            self.u[1] = self._expand_squares(coordinates)
        self.label = np.zeros(1)
        self.label_degree = 0

    def _expand_squares(self, coordinates: list[np.ndarray]) -> list[np.ndarray]:
        """u_1 = (x^2 - 1)/sqrt 2 per coordinate; empty where a square is too large."""
        if not gp.affordable(self.r, 2):
            return []
        minus_one = np.array([-1.0])
        return [gp.add(gp.square(p, self.r, 1), minus_one) * 0.5**0.5 for p in coordinates]

    def degree(self, parts: LevelRows) -> int:
        """Degree of a level that reads these sources."""
        return max(self.degrees[source] for source in parts)

    def add_level(self, level: int, alpha: float, parts: LevelRows) -> LevelConstants:
        """Expand ``level`` from its raw rows and add it to the label."""
        degree = self.degree(parts)
        units, factors, sds = [], [], []
        total = np.zeros(1)
        for unit in range(len(next(iter(parts.values())))):
            z = self._read(parts, unit)
            factor = gp.mean_and_variance(z, self.r, degree)[1] ** -0.5
            squared = gp.square(z * factor, self.r, degree)
            sd = gp.mean_and_variance(squared, self.r, 2 * degree)[1] ** 0.5
            total = gp.add(total, squared)
            squared[0] -= 1.0
            units.append(squared / sd)
            factors.append(factor)
            sds.append(sd)
        self.u[level] = units
        self.degrees[level] = 2 * degree
        level_sd = gp.mean_and_variance(total, self.r, 2 * degree)[1] ** 0.5
        self.label = gp.add(self.label, total * (alpha / level_sd))
        self.label_degree = 2 * degree
        column = float64(factors).unsqueeze(1)
        rows = {source: w * column for source, w in parts.items()}
        return LevelConstants(rows, float64(sds), level_sd, 0.0)

    def _read(self, parts: LevelRows, unit: int) -> np.ndarray:
        """z of one unit as a polynomial."""
        z = np.zeros(1)
        for source, w in parts.items():
            for weight, u in zip(w[unit].tolist(), self.u[source], strict=True):
                z = gp.add(z, weight * u)
        return z

    def variance(self) -> tuple[float, float]:
        """Variance of the label so far, and its standard error, which is zero."""
        return gp.mean_and_variance(self.label, self.r, self.label_degree)[1], 0.0


def float64(values: float | list[float]) -> Tensor:
    """A double-precision tensor on the CPU."""
    return torch.tensor(values, dtype=torch.float64)


def degree_variances(target: LevelComposition, rows: DrawRows) -> Tensor:
    """Variance of one draw's label under N(0, I) by degree 1 … D of its Hermite expansion.

    Returns (D,), float64. Raises :class:`UserError` where the expansion is too large.
    """
    expansion = expand(target, rows)
    if expansion is None:
        variables = len(read_basis(target, rows))
        raise UserError(
            f"target.spectrum=matched: a composition of degree {target.degree} in {variables} "
            "variables is too large to be expanded; set target.spectrum=top, or lower target.L or "
            "target.widths"
        )
    label, r, degree = expansion.label, expansion.r, expansion.label_degree
    squares = gp.hermite(label, r, degree) ** 2
    ends = [gp.size(r, k) for k in range(degree + 1)]
    return torch.tensor([squares[a:b].sum() for a, b in itertools.pairwise(ends)])


def quadratic_part(target: LevelComposition, rows: DrawRows) -> Tensor | None:
    """H = E[f*(x) (x x' - I)] of one draw under N(0, I), (d, d), exactly.

    ``rows`` are rescaled. None where the expansion is too large.
    """
    expansion = expand(target, rows)
    if expansion is None:
        return None
    part = gp.quadratic_part(expansion.label, expansion.r, expansion.label_degree)
    hessian: Tensor = expansion.basis.T @ torch.as_tensor(part) @ expansion.basis
    return hessian


def expand(target: LevelComposition, rows: DrawRows) -> Expansion | None:
    """All levels of one draw as polynomials; None where they are too large."""
    expansion = Expansion(read_basis(target, rows))
    for level, alpha in zip(target.levels, target.coefficients, strict=True):
        if not gp.affordable(expansion.r, expansion.degree(rows[level])):
            return None
        expansion.add_level(level, alpha, rows[level])
    return expansion


def read_basis(target: LevelComposition, rows: DrawRows) -> Tensor:
    """Orthonormal rows (r, d) that span every linear form that the rows read.

    All of R^d where x is not Gaussian or where its squares are read.
    """
    if target.law != "gaussian" or any(1 in parts for parts in rows.values()):
        return torch.eye(target.d, dtype=torch.float64)
    forms = torch.cat([parts[0] for parts in rows.values() if 0 in parts])
    _, singular, span = torch.linalg.svd(forms, full_matrices=False)
    basis: Tensor = span[singular > RANK_TOLERANCE * singular[0]]
    return basis
