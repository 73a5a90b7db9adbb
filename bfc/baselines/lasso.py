"""Sparse regression on monomials, the method for targets whose expansion is short.

It finds a function of few monomials from few samples (a parity, for instance); a composition of
quadratics in rotated coordinates is not one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.baselines.monomials import Basis, check_basis, describe_basis, products, require_few
from bfc.baselines.refit import Refit
from bfc.types import Target

MAX_SWEEPS = 1000
TOLERANCE = 1e-3
"""Relative duality gap at which a fit ends."""


@dataclass(frozen=True)
class Lasso(Refit):
    """min_w |y − ȳ − (Φ − Φ̄)w|² / 2n + α |w|₁ with Φ all monomials of degree ≤ ``degree``.

    The monomials are :func:`bfc.baselines.monomials.products`; α = ``regularisation`` · sd(y) ·
    √(2 ln F / n), the universal penalty (Bickel, Ritov & Tsybakov 2009) for noise as large as the
    labels. Solved by coordinate descent (scikit-learn), down the grid of α; a fit that has not
    converged after 1000 sweeps is used as it is. Raises :class:`bfc.errors.UserError` where the
    monomials are too many.
    """

    identity_name: ClassVar[str] = "bfc.baselines.lasso.Lasso"

    regularisation_grid: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    n_max: int = 1024
    n_ratio: float = 2.0
    degree: int = 4
    basis: Basis = "hermite"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_basis(self.degree, self.basis)

    @property
    def label(self) -> str:
        return f"Lasso on monomials ({describe_basis(self.degree, self.basis)})"

    def check(self, target: Target) -> None:
        require_few(self.degree, target.input_width, 3 * self.n_max)

    def predict(self, x: Tensor, y: Tensor, x_test: Tensor, strengths: Sequence[float]) -> Tensor:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import lasso_path

        phi = products(x, self.degree, self.basis)[:, 1:]
        mean, centre, deviation = phi.mean(0), y.mean(), float(y.std())
        if not deviation:
            return centre.expand(len(strengths), len(x_test))
        unit = deviation * math.sqrt(2 * math.log(phi.shape[1] + 1) / len(x))
        order = sorted(range(len(strengths)), key=lambda i: -strengths[i])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            _, path, _ = lasso_path(
                (phi - mean).cpu().numpy(),
                (y - centre).cpu().numpy(),
                alphas=[strengths[i] * unit for i in order],
                max_iter=MAX_SWEEPS,
                tol=TOLERANCE,
            )
        weights = torch.empty(len(strengths), phi.shape[1], dtype=x.dtype, device=x.device)
        weights[order] = torch.as_tensor(path.T.copy(), dtype=x.dtype, device=x.device)
        predictions = []
        for rows in torch.split(x_test, len(x)):
            phi_test = products(rows, self.degree, self.basis)[:, 1:]
            predictions.append(weights @ (phi_test - mean).mT)
        return torch.cat(predictions, 1) + centre
