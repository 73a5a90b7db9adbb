"""Realisations of a composition of quadratics: weights and normalising constants per seed."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bfc.targets.capabilities import LevelComposition, LevelDraw, RevealedScales
from bfc.targets.inputs import Inputs
from bfc.targets.level_expansion import StackedRows, index_rows, read_basis
from bfc.targets.level_moments import LevelMoments


@dataclass(frozen=True)
class QuadraticDraw(LevelDraw):
    """R realisations of a composition of quadratics; see :class:`bfc.types.Draw`."""

    target: LevelComposition
    seeds: tuple[int, ...]
    law: Inputs
    moments: LevelMoments
    weights: StackedRows
    """Rescaled rows."""
    unit_sd: dict[int, Tensor]
    """Standard deviation of z_l^2 per unit, (R, k_l)."""
    revealed: RevealedScales

    @property
    def scale(self) -> Tensor:
        """alpha_l / c_l, (R, L-1)."""
        return self.revealed.scale

    @property
    def variance(self) -> Tensor:
        return self.moments.variance

    @property
    def variance_error(self) -> Tensor:
        return self.moments.variance_error

    @property
    def planted_subspace(self) -> Tensor | None:
        """The span of the linear forms that the levels read; None where they read x² − 1."""
        rows = [index_rows(self.moments.rows, i) for i in range(len(self.seeds))]
        bases = torch.stack([read_basis(self.target, rows_of_draw) for rows_of_draw in rows])
        return bases.mT.to(self.scale) if bases.shape[1] < self.target.d else None

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        return self.law.rows(role, rows)

    def features(self, x: Tensor) -> dict[int, Tensor]:
        u = {0: x, 1: (x * x - 1) * 0.5**0.5}
        z: dict[int, Tensor] = {}
        for level, parts in self.weights.items():
            products = [torch.bmm(u[source], w.mT) for source, w in parts.items()]
            z[level] = functools.reduce(torch.add, products)
            u[level] = (z[level] ** 2 - 1) / self.unit_sd[level].unsqueeze(1)
        return z

    def labels(self, x: Tensor) -> Tensor:
        y = torch.zeros(x.shape[:2], dtype=x.dtype, device=x.device)
        for i, z in enumerate(self.features(x).values()):
            y += self.scale[:, i : i + 1] * ((z * z).sum(-1) - z.shape[-1])
        return y

    def select(self, index: Sequence[int]) -> QuadraticDraw:
        i = torch.as_tensor(index, device=self.scale.device)
        return replace(
            self,
            seeds=tuple(self.seeds[position] for position in index),
            moments=self.moments.select(index),
            law=self.law.select(index),
            weights=index_rows(self.weights, i),
            unit_sd={level: sd[i] for level, sd in self.unit_sd.items()},
            revealed=self.revealed.select(index),
        )
