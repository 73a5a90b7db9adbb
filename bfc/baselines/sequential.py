"""Kernels applied one after another, without backward correction.

Each stage fits the labels by a kernel on what the stage before passes on, and nothing learned later
corrects it. The paper names this (with layer-wise training) among the simpler algorithms for which
no guarantee is known; here it is made as strong as its idea allows, by passing on the directions
that the fitted function depends on and their products.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.baselines.checks import check_value, integers_from
from bfc.baselines.refit import Refit


@dataclass(frozen=True)
class Sequential(Refit):
    """``stages`` kernel ridge regressions, on equal and disjoint shares of the n labels.

    Each has K = ((1 + u·u'/w)/2)^degree on its own inputs u of w coordinates. Shares are disjoint
    because on shared labels a stage that interpolates would pass the answer on to the next one.

    Stage 1 reads u = x. The next stage reads (x, φ), each part scaled to carry half of |u|² = w: φ
    are the fitted function f and, with s = the ``passed`` leading eigenvectors of the mean outer
    product of ∇f over the stage's points applied to u, all products s_i s_j, every one of mean 0
    and variance 1 over those points. The last stage's f is the predictor. ``regularisation`` is the
    ridge λ of every stage. Classes are fitted as one-hot vectors; f and ∇f are then those of all
    outputs. Raises :class:`bfc.errors.UserError` on invalid values.
    """

    identity_name: ClassVar[str] = "bfc.baselines.sequential.Sequential"
    supports_multi_output: ClassVar[bool] = True

    regularisation_grid: tuple[float, ...] = (1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    n_max: int = 4096
    stages: int = 2
    degree: int = 2
    passed: int = 4
    """Features s passed from stage to stage; 0: only f."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_value("stages", self.stages, integers_from(1, 8))
        check_value("degree", self.degree, integers_from(1))
        check_value("passed", self.passed, integers_from(0))

    @property
    def label(self) -> str:
        return f"kernels in sequence ({self.stages} of degree {self.degree})"

    def predict(self, x: Tensor, y: Tensor, x_test: Tensor, strengths: Sequence[float]) -> Tensor:
        return torch.stack([self._predict(x, y, x_test, ridge) for ridge in strengths])

    def _predict(self, x: Tensor, y: Tensor, x_test: Tensor, ridge: float) -> Tensor:
        share = len(x) // self.stages
        u, u_test, predicted = x, x_test, y
        for stage in range(self.stages):
            is_last = stage + 1 == self.stages
            rows = slice(stage * share, len(x) if is_last else (stage + 1) * share)
            weights, centre = self._fit(u[rows], y[rows], ridge)
            fitted = self._kernel(u, u[rows]) @ weights + centre
            predicted = self._kernel(u_test, u[rows]) @ weights + centre
            if not is_last:
                directions = self._directions(u[rows], weights)
                phi = self._products(u @ directions, fitted)
                phi_test = self._products(u_test @ directions, predicted)
                mean = phi[rows].mean(0)
                deviation = phi[rows].std(0, correction=0).clamp_min(1e-12)
                u = self._balance(x, (phi - mean) / deviation)
                u_test = self._balance(x_test, (phi_test - mean) / deviation)
        return predicted

    def _fit(self, u: Tensor, y: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
        """Dual weights, shaped as y, of kernel ridge regression on y − ȳ, and ȳ."""
        centre = y.mean(0)
        shift = ridge * torch.eye(len(u), dtype=u.dtype, device=u.device)
        return torch.linalg.solve(self._kernel(u, u) + shift, y - centre), centre

    def _kernel(self, u: Tensor, v: Tensor) -> Tensor:
        return (u @ v.mT).div_(u.shape[1]).add_(1).div_(2).pow_(self.degree)

    def _directions(self, u: Tensor, weights: Tensor) -> Tensor:
        """Leading eigenvectors (w, ``passed``) of the mean of ∇f ∇fᵀ over the rows of ``u``.

        f = Σ_j weights_j K(·, u_j).
        """
        width = u.shape[1]
        slope = (u @ u.mT).div_(width).add_(1).div_(2).pow_(self.degree - 1)
        slope.mul_(self.degree / (2 * width))
        columns = weights.view(len(u), -1).mT
        gradients = torch.cat([(slope * column) @ u for column in columns])
        vectors: Tensor = torch.linalg.eigh(gradients.mT @ gradients).eigenvectors
        return vectors.flip(1)[:, : self.passed]

    @staticmethod
    def _products(s: Tensor, f: Tensor) -> Tensor:
        """All products s_i s_j of the columns of ``s`` (n, k), and ``f``, (n,) or (n, outputs)."""
        i, j = torch.triu_indices(s.shape[1], s.shape[1], device=s.device)
        return torch.cat([s[:, i] * s[:, j], f.view(len(s), -1)], 1)

    @staticmethod
    def _balance(x: Tensor, phi: Tensor) -> Tensor:
        """(x, φ), each scaled to carry half of the squared norm, the number of coordinates."""
        half = (x.shape[1] + phi.shape[1]) / 2
        parts = [x * math.sqrt(half / x.shape[1]), phi * math.sqrt(half / phi.shape[1])]
        return torch.cat(parts, 1)
