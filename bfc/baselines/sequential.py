"""Kernels applied one after another: each stage fits the labels by a kernel on what the stage
before passes on, and nothing learned later corrects it. The paper names this (with layer-wise
training) among the simpler algorithms for which no guarantee is known; here it is made as strong as
its idea allows, by passing on the directions that the fitted function depends on and their
products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.baselines.refit import Refit
from bfc.baselines.ridge import is_integer
from bfc.errors import require


@dataclass(frozen=True)
class Sequential(Refit):
    """``stages`` kernel ridge regressions, each with K = ((1 + u·u'/w)/2)^degree on its own inputs
    u of w coordinates, all on equal and disjoint shares of the n labels (on shared labels a stage
    that interpolates would hand the next one the answer).

    Stage 1 reads u = x. The next stage reads (x, φ), each part scaled to carry half of |u|² = w: φ
    are the fitted function f and, with s = the ``passed`` leading eigenvectors of the mean outer
    product of ∇f over the stage's points applied to u, all products s_i s_j, every one of mean 0
    and variance 1 over those points. The last stage's f is the predictor. ``regularisation`` is the
    ridge λ of every stage. Raises :class:`bfc.errors.UserError` on bad values."""

    identity_name: ClassVar[str] = "bfc.baselines.sequential.Sequential"

    regularisation_grid: tuple[float, ...] = (1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    n_max: int = 4096
    stages: int = 2
    degree: int = 2
    passed: int = 4
    """Features s handed from stage to stage; 0: only f."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            is_integer(self.stages) and 1 <= self.stages <= 8,
            "baseline.stages",
            self.stages,
            "an integer from 1 to 8",
        )
        require(
            is_integer(self.degree) and self.degree >= 1,
            "baseline.degree",
            self.degree,
            "an integer >= 1",
        )
        require(
            is_integer(self.passed) and self.passed >= 0,
            "baseline.passed",
            self.passed,
            "an integer >= 0",
        )

    @property
    def label(self) -> str:
        return f"kernels in sequence ({self.stages} of degree {self.degree})"

    def predict(self, x: Tensor, y: Tensor, x_test: Tensor, strengths: Sequence[float]) -> Tensor:
        return torch.stack([self._predict(x, y, x_test, ridge) for ridge in strengths])

    def _predict(self, x: Tensor, y: Tensor, x_test: Tensor, ridge: float) -> Tensor:
        share = len(x) // self.stages
        u, u_test, predicted = x, x_test, y
        for stage in range(self.stages):
            own = slice(stage * share, (stage + 1) * share if stage + 1 < self.stages else len(x))
            centre = y[own].mean()
            weights = torch.linalg.solve(
                self._kernel(u[own], u[own])
                + ridge * torch.eye(len(u[own]), dtype=x.dtype, device=x.device),
                y[own] - centre,
            )
            f, predicted = (self._kernel(rows, u[own]) @ weights + centre for rows in (u, u_test))
            if stage + 1 < self.stages:
                directions = self._directions(u[own], weights)
                phi, phi_test = (
                    self._products(rows @ directions, values)
                    for rows, values in ((u, f), (u_test, predicted))
                )
                mean, deviation = phi[own].mean(0), phi[own].std(0, correction=0).clamp_min(1e-12)
                u, u_test = (
                    self._joined(first, (rows - mean) / deviation)
                    for first, rows in ((x, phi), (x_test, phi_test))
                )
        return predicted

    def _kernel(self, u: Tensor, v: Tensor) -> Tensor:
        return (u @ v.mT).div_(u.shape[1]).add_(1).div_(2).pow_(self.degree)

    def _directions(self, u: Tensor, weights: Tensor) -> Tensor:
        """Leading eigenvectors (w, ``passed``) of the mean of ∇f ∇fᵀ over the rows of ``u``, f =
        Σ_j weights_j K(·, u_j)."""
        slope = (
            (u @ u.mT)
            .div_(u.shape[1])
            .add_(1)
            .div_(2)
            .pow_(self.degree - 1)
            .mul_(self.degree / (2 * u.shape[1]))
        )
        gradients = (slope * weights) @ u
        return torch.linalg.eigh(gradients.mT @ gradients).eigenvectors.flip(1)[:, : self.passed]

    @staticmethod
    def _products(s: Tensor, f: Tensor) -> Tensor:
        i, j = torch.triu_indices(s.shape[1], s.shape[1], device=s.device)
        return torch.cat([s[:, i] * s[:, j], f.unsqueeze(1)], 1)

    @staticmethod
    def _joined(x: Tensor, phi: Tensor) -> Tensor:
        """(x, φ), each part scaled so that it carries half of the squared norm, the number of
        coordinates."""
        half = (x.shape[1] + phi.shape[1]) / 2
        return torch.cat(
            [x * math.sqrt(half / x.shape[1]), phi * math.sqrt(half / phi.shape[1])], 1
        )
