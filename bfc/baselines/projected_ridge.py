"""Ridge regression on polynomials of a few learned features, with every point left out of its fit.

A feature that was chosen with the labels must not be judged by them: what is fitted next, a
read-out or a residual, uses the fitted value of every point from which that point was left out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bfc.baselines.monomials import products


def fit_polynomials(
    z: Tensor, y: Tensor, z_test: Tensor, degree: int, ridge: float
) -> tuple[Tensor, Tensor]:
    """Regression on all Hermite polynomials of ``z`` (n, k), standardised, up to ``degree``.

    Returns fitted values that leave their own point out (n,), and those at ``z_test`` (T, k), (T,).
    """
    mean, deviation = z.mean(0), z.std(0, correction=0).clamp(min=1e-12)
    phi = products((z - mean) / deviation, degree, "hermite")[:, 1:]
    phi_test = products((z_test - mean) / deviation, degree, "hermite")[:, 1:]
    return ridge_with_left_out(phi, y, phi_test, ridge)


def ridge_with_left_out(
    phi: Tensor, y: Tensor, phi_test: Tensor, ridge: float
) -> tuple[Tensor, Tensor]:
    """Ridge regression of y on ``phi`` (n, F), both centred, with penalty n λ |w|².

    Returns the fitted value of every training point with that point left out of the regression
    (n,), and the predictions at ``phi_test`` (T,).
    """
    centre, mean = phi.mean(0), y.mean()
    u, values, vh = torch.linalg.svd(phi - centre, full_matrices=False)
    shrinkage = values.square() / (values.square() + len(phi) * ridge)
    projected = u.mT @ (y - mean)
    fitted = u @ (shrinkage * projected)
    leverage = (u.square() * shrinkage).sum(1) + 1 / len(phi)
    left_out = y - (y - mean - fitted) / (1 - leverage).clamp(min=1e-6)
    coefficients = vh.mT @ (shrinkage / values.clamp(min=1e-300) * projected)
    return left_out, (phi_test - centre) @ coefficients + mean
