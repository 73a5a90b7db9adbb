"""The spectral chain: features by eigenvectors of label-weighted moments, level after level.

Tabanelli et al. (arXiv:2602.10867) for quadratic features, Dandi et al. (arXiv:2502.13961) for the
order of the levels. No gradient descent and no kernel: every level is one eigenvalue problem.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.baselines.checks import POSITIVE, check_value, integers_from
from bfc.baselines.feature_learner import FeatureLearner, Fit
from bfc.baselines.monomials import products, require_few
from bfc.baselines.projected_ridge import fit_polynomials
from bfc.errors import require
from bfc.types import Target

Level = Literal["linear", "quadratic"]
POWER_ROUNDS = 14
"""Products with C_2 in the block power iteration."""
EXTRA_COLUMNS = 4
"""Columns of the block beside those that are kept."""
READOUT_DEGREE = 5
ROWS_PER_DEGREE = 20
"""Training points per degree of the read-out, up to :data:`READOUT_DEGREE`."""


@dataclass(frozen=True)
class SpectralChain(FeatureLearner):
    """``levels`` of spectral features, ridge regression on their polynomials, and a read-out.

    Weights are the labels, clipped at ``clip`` standard deviations and centred.

    1. ``linear``: the ``keep`` eigenvectors of C_1 = (1/n) Σ y_i (x_ix_i' − I) with the largest
       |eigenvalues|; z are the projections. ``quadratic``: the same for C_2 = (1/n) Σ y_i φ_iφ_i',
       φ the orthonormal Hermite polynomials of degree 2; z are these quadratic forms. A second
       level reads the z of the first.
    2. Ridge regression on all Hermite polynomials of z (standardised) up to ``degree``.
    3. A function of the fitted value (:func:`fit_scalar`, degree 5 from 100 points on) by least
       squares on the fitted values that leave their own point out.

    C_2 is never formed: :func:`quadratic_operator` is applied to a block of matrices. Heavy-tailed
    labels need the clipping (docs/frontier_features.md). Raises :class:`bfc.errors.UserError` on
    invalid values.
    """

    identity_name: ClassVar[str] = "bfc.baselines.spectral_chain.SpectralChain"

    levels: tuple[Level, ...] = ("linear",)
    keep: tuple[int, ...] = (4,)
    """Features kept at every level."""
    clip: float | None = 3.0
    """Standard deviations at which labels are clipped as weights; null: never."""
    degree: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            1 <= len(self.levels) <= 4, "baseline.levels", self.levels, "a list of 1 to 4 names"
        )
        is_list = len(self.keep) == len(self.levels) and all(k >= 1 for k in self.keep)
        require(
            is_list,
            "baseline.keep",
            self.keep,
            "a list of integers >= 1, one per level of baseline.levels",
        )
        if self.clip is not None:
            check_value("clip", self.clip, POSITIVE)
        check_value("degree", self.degree, integers_from(1, 16))

    @property
    def label(self) -> str:
        return f"spectral chain ({', then '.join(self.levels)}, degree {self.degree})"

    def check(self, target: Target) -> None:
        width = target.input_width
        for level, keep in zip(self.levels, self.keep, strict=True):
            dimension = width if level == "linear" else width * (width + 1) // 2
            require(
                keep <= dimension,
                "baseline.keep",
                self.keep,
                f"at most {dimension} for the {level} features of {width} coordinates",
            )
            width = keep
        require_few(self.degree, width, 2 * self.n_max)

    def fit_seconds(self, n: int, width: int, test: int) -> float:
        seconds = 1e-3
        for level, keep in zip(self.levels, self.keep, strict=True):
            products_with_c = 1 if level == "linear" else POWER_ROUNDS * (keep + EXTRA_COLUMNS)
            seconds += products_with_c * 2.5e-10 * n * width**2
            width = keep
        features = math.comb(width + self.degree, self.degree)
        return seconds + 3e-10 * features**2 * n + 2e-11 * features**3 + 2e-9 * features * test

    def fit_bytes(self, width: int) -> int:
        features = math.comb(self.keep[-1] + self.degree, self.degree)
        return 8 * self.n_max * (3 * width + 4 * features)

    def fit(self, x: Tensor, y: Tensor, x_test: Tensor, ridge: float) -> Fit:
        weights = self.clip_labels(y)
        z, z_test = x, x_test
        basis = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        directions, forms = None, None
        for level, keep in zip(self.levels, self.keep, strict=True):
            if level == "linear":
                vectors = linear_features(z, weights, keep)
                z, z_test = z @ vectors, z_test @ vectors
                if forms is None:
                    directions = basis = basis @ vectors
            else:
                matrices = quadratic_features(z, weights, keep)
                z, z_test = evaluate_forms(matrices, z), evaluate_forms(matrices, z_test)
                if forms is None:
                    forms = basis @ matrices @ basis.mT
        return Fit(self.read_out(z, y, z_test, ridge), directions, forms)

    def clip_labels(self, y: Tensor) -> Tensor:
        """The labels as weights of the moments, (n,), of mean 0."""
        centred = y - y.mean()
        if self.clip is not None:
            limit = self.clip * float(centred.square().mean().sqrt())
            centred = centred.clamp(-limit, limit)
        return centred - centred.mean()

    def read_out(self, z: Tensor, y: Tensor, z_test: Tensor, ridge: float) -> Tensor:
        """Stages 2 and 3 on features ``z`` (n, k): predictions at ``z_test`` (T, k), (T,)."""
        left_out, fitted_test = fit_polynomials(z, y, z_test, self.degree, ridge)
        return fit_scalar(left_out, y, fitted_test)


def linear_features(x: Tensor, weights: Tensor, keep: int) -> Tensor:
    """The leading eigenvectors of C_1, (d, keep); ``weights`` (n,) of mean 0."""
    moment = (x * weights.unsqueeze(1)).mT @ x / len(x)
    values, vectors = torch.linalg.eigh(moment)
    leading: Tensor = vectors[:, values.abs().argsort(descending=True)[:keep]]
    return leading


def quadratic_operator(x: Tensor, weights: Tensor, forms: Tensor) -> Tensor:
    """C_2 applied to symmetric matrices ``forms`` (m, d, d), as symmetric matrices (m, d, d).

    The polynomial (x'Bx − tr B)/√2 stands for the matrix B. B ↦ (1/2n) Σ_i y_i s_i (x_ix_i' − I),
    s_i = x_i'Bx_i − tr B, at n d² products per matrix. ``weights`` y (n,).
    """
    identity = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    images = []
    for form in forms:
        s = weights * ((x @ form * x).sum(1) - form.trace())
        images.append(((x * s.unsqueeze(1)).mT @ x / len(x) - s.mean() * identity) / 2)
    return torch.stack(images)


def quadratic_features(x: Tensor, weights: Tensor, keep: int) -> Tensor:
    """The leading eigenvectors of C_2 as symmetric matrices of unit norm, (keep, d, d).

    By a block power iteration from random matrices, and Rayleigh–Ritz on its block.
    """
    d = x.shape[1]
    columns = min(keep + EXTRA_COLUMNS, d * (d + 1) // 2)
    raw = random.normal([0], f"baseline/spectral_chain/{d}", (columns, d, d), x.dtype, x.device)[0]
    block = _orthonormalise(raw + raw.mT)
    for _ in range(POWER_ROUNDS):
        block = _orthonormalise(quadratic_operator(x, weights, block))
    images = quadratic_operator(x, weights, block)
    small = images.flatten(1) @ block.flatten(1).mT
    values, vectors = torch.linalg.eigh((small + small.mT) / 2)
    leading = vectors[:, values.abs().argsort(descending=True)[:keep]]
    return torch.einsum("mk,mab->kab", leading, block)


def _orthonormalise(forms: Tensor) -> Tensor:
    """An orthonormal basis of the span of matrices (m, d, d)."""
    basis: Tensor = torch.linalg.qr(forms.flatten(1).mT)[0].mT
    return basis.reshape(forms.shape)


def evaluate_forms(forms: Tensor, x: Tensor) -> Tensor:
    """(x'B_jx − tr B_j)/√2, (n, d) → (n, k)."""
    values = [(x @ form * x).sum(1) - form.trace() for form in forms]
    return torch.stack(values, 1) / math.sqrt(2)


def fit_scalar(t: Tensor, y: Tensor, t_test: Tensor) -> Tensor:
    """y as a function of one feature by least squares, at ``t_test``.

    A polynomial within 3 standard deviations of the feature, constant beyond, plus a line, which
    carries heavy tails; the values are kept within the range of ``y``.
    """
    degree = max(1, min(READOUT_DEGREE, len(t) // ROWS_PER_DEGREE))
    mean, deviation = t.mean(), t.std(correction=0).clamp(min=1e-300)

    def expand(values: Tensor) -> Tensor:
        standardised = ((values - mean) / deviation).unsqueeze(1)
        bounded = products(standardised.clamp(-3, 3), degree, "hermite")
        return torch.cat([bounded, standardised], 1)

    phi = expand(t)
    normal = phi.mT @ phi
    normal.diagonal().add_(1e-9 * len(t))
    coefficients: Tensor = torch.linalg.solve(normal, phi.mT @ y)
    return (expand(t_test) @ coefficients).clamp(y.min(), y.max())
