"""The constants that normalise a composition of quadratics.

They are the rescaling of every unit, the standard deviations per unit and per level, and Var f*.
Under N(0, I) they depend on x only through the linear forms that the rows read, so the composition
is expanded as a polynomial in those few orthonormal coordinates, which is exact. Levels whose
expansion would be too large, and all levels under another input law, are measured by quadrature
(:func:`bfc.targets.quadrature.nodes`), with a standard error.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bfc.errors import UserError
from bfc.targets import gaussian_polynomials as gp
from bfc.targets.capabilities import LevelComposition
from bfc.targets.inputs import Inputs
from bfc.targets.level_expansion import (
    DrawRows,
    Expansion,
    LevelConstants,
    LevelRows,
    StackedRows,
    float64,
    index_rows,
    read_basis,
)
from bfc.targets.quadrature import nodes

MAX_RELATIVE_ERROR = 0.1
"""Largest relative standard error of Var f* that a target is measured with."""
MAX_NODE_NUMBERS = 1 << 26
"""Largest quadrature array, in numbers (half a gigabyte)."""


@dataclass(frozen=True)
class LevelMoments:
    """Constants of R draws, all float64 on the CPU; R first."""

    rows: StackedRows
    """The rows, rescaled so that every unit has variance one."""
    unit_sd: dict[int, Tensor]
    """level → standard deviation of z^2 per unit, (R, k_level)."""
    level_sd: Tensor
    """c_l, standard deviation of |z_l|^2, (R, L-1)."""
    level_sd_error: Tensor
    """Its standard error; zero where exact."""
    variance: Tensor
    """Var f*, (R,)."""
    variance_error: Tensor
    """Its standard error; zero where exact."""

    def select(self, index: Sequence[int]) -> LevelMoments:
        """The constants of a subset (or repetition) of the draws."""
        i = torch.as_tensor(index)
        return LevelMoments(
            index_rows(self.rows, i),
            {l: sd[i] for l, sd in self.unit_sd.items()},
            self.level_sd[i],
            self.level_sd_error[i],
            self.variance[i],
            self.variance_error[i],
        )


def level_moments(
    target: LevelComposition, seeds: Sequence[int], rows: StackedRows
) -> LevelMoments:
    """Normalise the given raw rows; one draw per seed."""
    moments = [
        _measure_draw(target, seed, index_rows(rows, index)) for index, seed in enumerate(seeds)
    ]
    return _stack(moments)


def _stack(draws: Sequence[LevelMoments]) -> LevelMoments:
    rows: StackedRows = {}
    unit_sd: dict[int, Tensor] = {}
    for level, parts in draws[0].rows.items():
        rows[level] = {
            source: torch.stack([draw.rows[level][source] for draw in draws]) for source in parts
        }
        unit_sd[level] = torch.stack([draw.unit_sd[level] for draw in draws])
    return LevelMoments(
        rows,
        unit_sd,
        level_sd=torch.stack([draw.level_sd for draw in draws]),
        level_sd_error=torch.stack([draw.level_sd_error for draw in draws]),
        variance=torch.stack([draw.variance for draw in draws]),
        variance_error=torch.stack([draw.variance_error for draw in draws]),
    )


def _measure_draw(target: LevelComposition, seed: int, rows: DrawRows) -> LevelMoments:
    """The constants of one draw: exactly level by level, from the first large level on sampled."""
    basis = read_basis(target, rows)
    expansion = Expansion(basis)
    sample: _Sample | None = None
    levels: dict[int, LevelConstants] = {}
    for level, alpha in zip(target.levels, target.coefficients, strict=True):
        if sample is None and not _is_expandable(target, expansion, rows[level]):
            sample = _Sample(target, seed, basis, levels)
        levels[level] = (sample or expansion).add_level(level, alpha, rows[level])
    variance, error = (sample or expansion).variance()
    _require_precise(target, seed, variance, error)
    return LevelMoments(
        {number: level.rows for number, level in levels.items()},
        {number: level.unit_sd for number, level in levels.items()},
        level_sd=float64([level.sd for level in levels.values()]),
        level_sd_error=float64([level.sd_error for level in levels.values()]),
        variance=float64(variance),
        variance_error=float64(error),
    )


def _is_expandable(target: LevelComposition, expansion: Expansion, parts: LevelRows) -> bool:
    return target.law == "gaussian" and gp.affordable(expansion.r, expansion.degree(parts))


def _require_precise(target: LevelComposition, seed: int, variance: float, error: float) -> None:
    # A NaN fails the comparison and is refused too.
    if not error <= MAX_RELATIVE_ERROR * variance:
        raise UserError(
            f"target.quadrature={target.quadrature}: leaves Var f* of seed {seed} uncertain by "
            f"{error / variance:.0%}, more than {MAX_RELATIVE_ERROR:.0%}; raise it, or lower "
            f"target.L = {target.L} or alpha of the top levels"
        )


class _Sample:
    """The same by quadrature, from above the levels that were expanded exactly."""

    def __init__(
        self, target: LevelComposition, seed: int, basis: Tensor, levels: dict[int, LevelConstants]
    ) -> None:
        inputs = Inputs(target.law, (seed,), target.d, torch.float64)
        count = min(target.quadrature, MAX_NODE_NUMBERS // len(basis))
        self.nodes = nodes(inputs, basis, target.degree, count)
        self.basis = basis
        x = self.nodes.x
        self.u = {0: x, 1: (x * x - 1) * 0.5**0.5}
        self.label = torch.zeros(len(x), dtype=torch.float64)
        for (number, level), alpha in zip(levels.items(), target.coefficients, strict=False):
            z = self._read(level.rows)
            self._keep(number, z, level.unit_sd)
            self.label += alpha / level.sd * ((z * z).sum(1) - z.shape[1])

    def _read(self, parts: LevelRows) -> Tensor:
        """z at the nodes, (N, k_level)."""
        products = []
        for source, w in parts.items():
            weights = w @ self.basis.T if source == 0 else w
            products.append(self.u[source] @ weights.T)
        z: Tensor = functools.reduce(torch.add, products)
        return z

    def _keep(self, level: int, z: Tensor, sd: Tensor) -> None:
        self.u[level] = (z * z - 1) / sd

    def add_level(self, level: int, alpha: float, parts: LevelRows) -> LevelConstants:
        """Measure ``level`` from its raw rows and add it to the label."""
        z = self._read(parts)
        if set(parts) == {0}:
            # Cov x = I whatever the law, so the variance of a linear form needs no nodes.
            unit_variance = parts[0].square().sum(1)
        else:
            unit_variance = self.nodes.mean(z * z)[0]
        factor = unit_variance.rsqrt()
        z *= factor
        unit_sd = (self.nodes.mean(z**4)[0] - 1).sqrt()
        self._keep(level, z, unit_sd)
        total = (z * z).sum(1) - z.shape[1]
        variance, error = self._variance(total)
        self.label += alpha * variance**-0.5 * total
        rows = {source: w * factor.unsqueeze(1) for source, w in parts.items()}
        return LevelConstants(rows, unit_sd, variance**0.5, 0.5 * error * variance**-0.5)

    def variance(self) -> tuple[float, float]:
        """Variance of the label so far, and its standard error."""
        return self._variance(self.label)

    def _variance(self, values: Tensor) -> tuple[float, float]:
        second, error = self.nodes.mean(values.square().unsqueeze(1))
        return float(second - self.nodes.mean(values.unsqueeze(1))[0] ** 2), float(error)
