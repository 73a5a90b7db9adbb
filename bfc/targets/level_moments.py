"""The constants that normalise a composition of quadratics: per-unit rescaling, per-unit and
per-level standard deviations, and Var f*. Under N(0, I) they depend on x only through the linear
forms that the rows read, so the composition is expanded as a polynomial in that few orthonormal
coordinates (exact); levels whose expansion would be too large, and all levels under another input
law, are measured by quadrature (:func:`bfc.targets.inputs.nodes`), with a standard error."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bfc.errors import UserError
from bfc.targets import gaussian_polynomials as gp
from bfc.targets.inputs import Inputs, nodes

if TYPE_CHECKING:
    from bfc.targets.quadratic_densenet import QuadraticDenseNet

MOST_ERROR = 0.1
"""Largest relative standard error of Var f* that a target is measured with."""
MAX_NODE_NUMBERS = 1 << 26
"""Largest quadrature array, in numbers (half a gigabyte)."""

Rows = dict[int, dict[int, Tensor]]
"""level → source level → (R, k_level, width of source), float64."""


@dataclass(frozen=True)
class LevelMoments:
    """Constants of R draws, all float64 on the CPU; R first."""

    rows: Rows
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
            {l: {j: w[i] for j, w in parts.items()} for l, parts in self.rows.items()},
            {l: sd[i] for l, sd in self.unit_sd.items()},
            self.level_sd[i],
            self.level_sd_error[i],
            self.variance[i],
            self.variance_error[i],
        )


def level_moments(target: QuadraticDenseNet, seeds: Sequence[int], rows: Rows) -> LevelMoments:
    """Normalise the given raw rows; one draw per seed."""
    return _stack(
        [
            _one(
                target, seed, {l: {j: w[r] for j, w in parts.items()} for l, parts in rows.items()}
            )
            for r, seed in enumerate(seeds)
        ]
    )


def _stack(each: list[LevelMoments]) -> LevelMoments:
    first = each[0]
    return LevelMoments(
        {
            l: {j: torch.stack([m.rows[l][j] for m in each]) for j in parts}
            for l, parts in first.rows.items()
        },
        {l: torch.stack([m.unit_sd[l] for m in each]) for l in first.unit_sd},
        *(
            torch.stack([getattr(m, name) for m in each])
            for name in ("level_sd", "level_sd_error", "variance", "variance_error")
        ),
    )


def degree_variances(target: QuadraticDenseNet, rows: dict[int, dict[int, Tensor]]) -> Tensor:
    """The variance of one draw's label under N(0, I) by degree 1 … D of its Hermite expansion,
    (D,), float64. Raises :class:`UserError` where the expansion is too large."""
    exact = _expanded(target, rows)
    if exact is None:
        raise UserError(
            f"target.spectrum=matched: a composition of degree {target.degree} in {len(read_basis(target, rows))} variables is "
            "too large to be expanded; set target.spectrum=top, or lower target.L or target.widths"
        )
    squares = gp.hermite(exact.label, exact.r, exact.label_degree) ** 2
    ends = [gp.size(exact.r, k) for k in range(exact.label_degree + 1)]
    return torch.tensor([squares[a:b].sum() for a, b in itertools.pairwise(ends)])


def quadratic_part(target: QuadraticDenseNet, rows: dict[int, dict[int, Tensor]]) -> Tensor | None:
    """H = E[f*(x) (x x' - I)] of one draw under N(0, I), (d, d), exactly; None where the expansion
    is too large. ``rows`` are rescaled."""
    exact = _expanded(target, rows)
    if exact is None:
        return None
    part = torch.as_tensor(gp.quadratic_part(exact.label, exact.r, exact.label_degree))
    return exact.basis.T @ part @ exact.basis


def _expanded(target: QuadraticDenseNet, rows: dict[int, dict[int, Tensor]]) -> _Exact | None:
    """All levels of one draw as polynomials; None where they are too large."""
    exact = _Exact(read_basis(target, rows))
    for level, alpha in zip(target.levels, target.alpha, strict=True):
        if not gp.affordable(exact.r, exact.degree(rows[level])):
            return None
        exact.add_level(level, alpha, rows[level])
    return exact


def read_basis(target: QuadraticDenseNet, rows: dict[int, dict[int, Tensor]]) -> Tensor:
    """Orthonormal rows (r, d) spanning every linear form that the rows read; all of R^d where x is
    not Gaussian."""
    if target.law != "gaussian" or any(1 in parts for parts in rows.values()):
        return torch.eye(target.d, dtype=torch.float64)
    forms = torch.cat([parts[0] for parts in rows.values() if 0 in parts])
    _, singular, span = torch.linalg.svd(forms, full_matrices=False)
    return span[singular > 1e-10 * singular[0]]


def _one(target: QuadraticDenseNet, seed: int, rows: dict[int, dict[int, Tensor]]) -> LevelMoments:
    basis = read_basis(target, rows)
    exact = _Exact(basis)
    sampled: _Sampled | None = None
    scaled: dict[int, dict[int, Tensor]] = {}
    unit_sd: dict[int, Tensor] = {}
    level_sd, level_error = [], []
    for level, alpha in zip(target.levels, target.alpha, strict=True):
        if sampled is None and (
            target.law != "gaussian" or not gp.affordable(len(basis), exact.degree(rows[level]))
        ):
            sampled = _Sampled(target, seed, basis, scaled, unit_sd, level_sd)
        moments = sampled or exact
        scaled[level], unit_sd[level], sd, error = moments.add_level(level, alpha, rows[level])
        level_sd.append(sd)
        level_error.append(error)
    variance, error = (sampled or exact).variance()
    if not error <= MOST_ERROR * variance:
        raise UserError(
            f"target.quadrature={target.quadrature}: leaves Var f* of seed {seed} uncertain by {error / variance:.0%}, more "
            f"than {MOST_ERROR:.0%}; raise it, or lower target.L = {target.L} or alpha of the top levels"
        )
    as_tensor = lambda values: torch.tensor(values, dtype=torch.float64)  # noqa: E731
    return LevelMoments(
        scaled,
        unit_sd,
        as_tensor(level_sd),
        as_tensor(level_error),
        as_tensor(variance),
        as_tensor(error),
    )


class _Exact:
    """The composition expanded level by level as polynomials in the basis coordinates."""

    def __init__(self, basis: Tensor) -> None:
        self.basis, self.r = basis, len(basis)
        coordinates = [gp.linear(row) for row in basis.T.numpy()]
        self.u: dict[int, list[np.ndarray]] = {0: coordinates}
        self.degrees = {0: 1, 1: 2}
        if self.r == basis.shape[1]:
            self.u[1] = (
                [gp.add(gp.square(p, self.r, 1), np.array([-1.0])) * 0.5**0.5 for p in coordinates]
                if gp.affordable(self.r, 2)
                else []
            )
        self.label, self.label_degree = np.zeros(1), 0

    def degree(self, parts: dict[int, Tensor]) -> int:
        """Degree of a level that reads these sources."""
        return max(self.degrees[j] for j in parts)

    def add_level(
        self, level: int, alpha: float, parts: dict[int, Tensor]
    ) -> tuple[dict[int, Tensor], Tensor, float, float]:
        degree = self.degree(parts)
        units, factors, sds = [], [], []
        total = np.zeros(1)
        for unit in range(len(next(iter(parts.values())))):
            z = np.zeros(1)
            for j, w in parts.items():
                for weight, u in zip(w[unit].tolist(), self.u[j], strict=True):
                    z = gp.add(z, weight * u)
            factor = gp.mean_and_variance(z, self.r, degree)[1] ** -0.5
            squared = gp.square(z * factor, self.r, degree)
            sd = gp.mean_and_variance(squared, self.r, 2 * degree)[1] ** 0.5
            total = gp.add(total, squared)
            squared[0] -= 1.0
            units.append(squared / sd)
            factors.append(factor)
            sds.append(sd)
        self.u[level], self.degrees[level] = units, 2 * degree
        level_sd = gp.mean_and_variance(total, self.r, 2 * degree)[1] ** 0.5
        self.label, self.label_degree = gp.add(self.label, total * (alpha / level_sd)), 2 * degree
        column = torch.tensor(factors, dtype=torch.float64).unsqueeze(1)
        return (
            {j: w * column for j, w in parts.items()},
            torch.tensor(sds, dtype=torch.float64),
            level_sd,
            0.0,
        )

    def variance(self) -> tuple[float, float]:
        return gp.mean_and_variance(self.label, self.r, self.label_degree)[1], 0.0


class _Sampled:
    """The same by quadrature, starting above the levels that were expanded exactly."""

    def __init__(
        self,
        target: QuadraticDenseNet,
        seed: int,
        basis: Tensor,
        scaled: dict[int, dict[int, Tensor]],
        unit_sd: dict[int, Tensor],
        level_sd: list[float],
    ) -> None:
        inputs = Inputs(target.law, (seed,), target.d, torch.float64)
        self.nodes = nodes(
            inputs, basis, target.degree, min(target.quadrature, MAX_NODE_NUMBERS // len(basis))
        )
        x = self.nodes.x
        self.basis, self.u = basis, {0: x, 1: (x * x - 1) * 0.5**0.5}
        self.label = torch.zeros(len(x), dtype=torch.float64)
        for (level, parts), sd, alpha in zip(scaled.items(), level_sd, target.alpha, strict=False):
            z = self._read(parts)
            self._keep(level, z, unit_sd[level])
            self.label += alpha / sd * ((z * z).sum(1) - z.shape[1])

    def _read(self, parts: dict[int, Tensor]) -> Tensor:
        return sum(self.u[j] @ (w @ self.basis.T if j == 0 else w).T for j, w in parts.items())

    def _keep(self, level: int, z: Tensor, sd: Tensor) -> None:
        self.u[level] = (z * z - 1) / sd

    def add_level(
        self, level: int, alpha: float, parts: dict[int, Tensor]
    ) -> tuple[dict[int, Tensor], Tensor, float, float]:
        z = self._read(parts)
        linear = (
            parts[0].square().sum(1) if set(parts) == {0} else None
        )  # Cov x = I, whatever the law
        factor = (self.nodes.mean(z * z)[0] if linear is None else linear).rsqrt()
        z *= factor
        sd = (self.nodes.mean(z**4)[0] - 1).sqrt()
        self._keep(level, z, sd)
        total = (z * z).sum(1) - z.shape[1]
        variance, error = self._variance(total)
        self.label += alpha * variance**-0.5 * total
        return (
            {j: w * factor.unsqueeze(1) for j, w in parts.items()},
            sd,
            variance**0.5,
            0.5 * error * variance**-0.5,
        )

    def variance(self) -> tuple[float, float]:
        return self._variance(self.label)

    def _variance(self, values: Tensor) -> tuple[float, float]:
        second, error = self.nodes.mean(values.square().unsqueeze(1))
        return float(second - self.nodes.mean(values.unsqueeze(1))[0] ** 2), float(error)
