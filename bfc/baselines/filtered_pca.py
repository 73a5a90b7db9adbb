"""Filtered PCA: the directions a function varies in, from the inputs at which it is large.

Chen, Klivans & Meka (arXiv:2009.13512) learn deep ReLU networks of Gaussian inputs in a fixed
polynomial of d. The moment E[y(xx' − I)] is blind where f* has no part of degree 2, as in
x_1x_2x_3; the same moment of the event that |y| is large is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.baselines.checks import OPEN_UNIT_INTERVAL, check_value, integers_from
from bfc.baselines.feature_learner import FeatureLearner, Fit
from bfc.baselines.monomials import require_few
from bfc.baselines.projected_ridge import fit_polynomials
from bfc.errors import UserError
from bfc.types import Target, sample

LABEL_ROWS = 256
"""Rows by which two labels are told from several; more would only find rarer values."""


@dataclass(frozen=True)
class FilteredPCA(FeatureLearner):
    """Directions by filtered PCA, round after round, then ridge regression on their polynomials.

    1. r = y − (the fit below on the directions so far, with the point itself left out); at first,
       y − its mean. Weights are w_i = 1{|r_i| > τ}, τ the ``quantile`` of |r| (``filter``), or r_i
       itself (``labels``, plain PCA, the control); then centred.
    2. H = (1/n) Σ w_i (x_ix_i' − I) on the complement of the directions so far. Its eigenvectors
       with |eigenvalue| beyond the noise are added, at most ``keep`` in all. The noise is the
       largest |eigenvalue| in ``permutations`` copies of H whose weights are permuted.
    3. Again from 1, until there are ``keep`` directions or none exceeds the noise.
    4. Ridge regression on all Hermite polynomials of the projections up to ``degree``.

    With ``permutations: 0`` nothing is tested: one round takes ``keep`` directions. The paper fits
    piecewise linear functions where the polynomials stand here, and its constants are not those of
    practice. Its functions are real-valued, with a τ that |f*| exceeds with constant probability
    (recalled). Of two labels τ can at most set the rarer one apart, and where both are about as
    frequent it sets nothing apart, so that no direction would be found: such targets are refused
    with ``filter``. ``labels`` weighs by which of the two it is, all that the filter could do.

    Raises :class:`bfc.errors.UserError` on invalid values, and on labels of two values with
    ``filter``.
    """

    identity_name: ClassVar[str] = "bfc.baselines.filtered_pca.FilteredPCA"

    weights: Literal["filter", "labels"] = "filter"
    quantile: float = 0.7
    """Share of the points with a smaller |r| than τ."""
    keep: int = 4
    """Most directions in all."""
    permutations: int = 8
    """Copies of H by which the noise is known; 0: one round without a test."""
    degree: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_value("quantile", self.quantile, OPEN_UNIT_INTERVAL)
        check_value("keep", self.keep, integers_from(1))
        check_value("permutations", self.permutations, integers_from(0, 1000))
        check_value("degree", self.degree, integers_from(1, 16))

    @property
    def label(self) -> str:
        name = "filtered PCA" if self.weights == "filter" else "PCA weighted by labels"
        rounds = "" if self.permutations else ", one round"
        return f"{name} (degree {self.degree}{rounds})"

    def check(self, target: Target) -> None:
        check_value("keep", self.keep, integers_from(1, target.input_width))
        require_few(self.degree, self.keep, 2 * self.n_max)
        if self.weights == "filter" and has_two_labels(target):
            raise UserError(
                "baseline=filtered_pca: its filter needs labels of several sizes, and the target "
                "has two labels, whose size says no more than which of them is rarer; allowed: "
                "baseline.weights=labels"
            )

    def fit_seconds(self, n: int, width: int, test: int) -> float:
        rounds = self.keep if self.permutations else 1
        features = math.comb(self.keep + self.degree, self.degree)
        moments = rounds * (self.permutations + 1) * (1e-4 + 2.5e-10 * n * width**2)
        regressions = rounds * (3e-10 * features**2 * n + 2e-11 * features**3)
        return 1e-3 + moments + regressions + 2e-9 * features * test

    def fit_bytes(self, width: int) -> int:
        features = math.comb(self.keep + self.degree, self.degree)
        return 8 * self.n_max * (3 * width + 4 * features)

    def fit(self, x: Tensor, y: Tensor, x_test: Tensor, ridge: float) -> Fit:
        basis = x[0:0].mT
        residual = y - y.mean()
        predicted = y.mean().expand(len(x_test))
        while basis.shape[1] < self.keep:
            added = self.next_directions(x, residual, basis)
            if not added.shape[1]:
                break
            basis = torch.cat([basis, added], 1)
            fitted, predicted = fit_polynomials(x @ basis, y, x_test @ basis, self.degree, ridge)
            residual = y - fitted
            if not self.permutations:
                break
        return Fit(predicted, basis)

    def next_directions(self, x: Tensor, residual: Tensor, basis: Tensor) -> Tensor:
        """Directions (d, m) beyond the noise that are orthogonal to ``basis`` (d, k)."""
        complement = orthogonal_complement(basis)
        z = x @ complement
        weights = self.weigh(residual)
        values, vectors = torch.linalg.eigh(weighted_moment(z, weights))
        order = values.abs().argsort(descending=True)[: self.keep - basis.shape[1]]
        if self.permutations:
            order = order[values[order].abs() > self.noise(z, weights)]
        directions: Tensor = complement @ vectors[:, order]
        return directions

    def weigh(self, residual: Tensor) -> Tensor:
        """The weights of the moment, (n,), of mean 0."""
        if self.weights == "labels":
            return residual - residual.mean()
        size = residual.abs()
        is_large = (size > size.quantile(self.quantile)).to(size)
        return is_large - is_large.mean()

    def noise(self, z: Tensor, weights: Tensor) -> float:
        """The largest |eigenvalue| of moments of ``z`` (n, k) with permuted ``weights`` (n,)."""
        largest = 0.0
        for number in range(self.permutations):
            order = permutation(len(z), number).to(z.device)
            values = torch.linalg.eigvalsh(weighted_moment(z, weights[order]))
            largest = max(largest, float(values.abs().max()))
        return largest


def has_two_labels(target: Target) -> bool:
    """Whether the labels of the first ``LABEL_ROWS`` rows of one draw take two values."""
    rows = torch.arange(LABEL_ROWS).unsqueeze(0)
    _, labels = sample(target.draw([0], torch.float64), "train", rows)
    return len(set(labels.flatten().tolist())) == 2


def weighted_moment(z: Tensor, weights: Tensor) -> Tensor:
    """(1/n) Σ w_i (z_iz_i' − I), (k, k), for ``weights`` (n,) of mean 0."""
    return (z * weights.unsqueeze(1)).mT @ z / len(z)


def orthogonal_complement(basis: Tensor) -> Tensor:
    """Orthonormal columns (d, d − k) orthogonal to the orthonormal ``basis`` (d, k)."""
    whole: Tensor = torch.linalg.qr(basis, mode="complete")[0]
    return whole[:, basis.shape[1] :]


def permutation(n: int, number: int) -> Tensor:
    """The random permutation of n rows that has this ``number``, (n,), int64."""
    key = random.keys([number], "baseline/filtered_pca/permutation")
    return random.uniform(key, torch.arange(n), torch.float64).argsort()
