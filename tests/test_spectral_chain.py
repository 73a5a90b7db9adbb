"""The spectral chain against dense matrices, explicit leave-one-out fits and known features."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.polynomial.hermite_e import hermegauss
from random_tensors import gaussian
from torch import Tensor

from bfc.baselines.projected_ridge import ridge_with_left_out
from bfc.baselines.spectral_chain import (
    SpectralChain,
    evaluate_forms,
    linear_features,
    quadratic_features,
    quadratic_operator,
)
from bfc.targets.overlap import form_overlap, subspace_overlap
from bfc.targets.quadratic_of_quadratics import QuadraticOfQuadratics
from bfc.targets.sight import Sight


def degree_two_features(x: Tensor) -> tuple[Tensor, Tensor]:
    """φ (n, D_2) in the orthonormal Hermite basis, and the matrix that stands for each of them."""
    d = x.shape[1]
    columns, matrices = [], []
    for i in range(d):
        for j in range(i, d):
            matrix = torch.zeros(d, d, dtype=x.dtype)
            if i == j:
                columns.append((x[:, i] ** 2 - 1) / math.sqrt(2))
                matrix[i, i] = 1
            else:
                columns.append(x[:, i] * x[:, j])
                matrix[i, j] = matrix[j, i] = 1 / math.sqrt(2)
            matrices.append(matrix)
    return torch.stack(columns, 1), torch.stack(matrices)


def test_the_quadratic_operator_is_the_dense_matrix():
    x = gaussian(60, 4)
    weights = gaussian(60, seed=1)
    phi, matrices = degree_two_features(x)
    torch.testing.assert_close(evaluate_forms(matrices, x), phi)
    dense = phi.mT @ (weights.unsqueeze(1) * phi) / len(x)
    images = quadratic_operator(x, weights, matrices)
    applied = torch.einsum("jab,kab->jk", matrices, images)
    torch.testing.assert_close(applied, dense)


def test_the_population_moment_has_a_spike_above_a_bulk_that_hides_it_at_small_d():
    """For one feature with A² = I/d, in units of 1/√2: 2 + 12/d for A, 4/d to 12/d beside it.

    By a tensor Gauss-Hermite rule, exact for the degree 8 of y φφ'."""
    d = 4
    draw = QuadraticOfQuadratics(d=d, p=1).draw([0], torch.float64)
    nodes, weights = hermegauss(6)
    x = torch.cartesian_prod(*[torch.tensor(nodes)] * d)
    w = torch.cartesian_prod(*[torch.tensor(weights / math.sqrt(2 * math.pi))] * d).prod(1)
    _, matrices = degree_two_features(x[:1])
    images = quadratic_operator(x, len(x) * w * draw.labels(x[None])[0], matrices)
    moment = torch.einsum("jab,kab->jk", matrices, images) * math.sqrt(2)
    values, vectors = torch.linalg.eigh(moment)
    spike = torch.einsum("k,kab->ab", vectors[:, -1], matrices)
    assert form_overlap(spike[None], draw.planted_forms[0]) == pytest.approx(1)
    assert float(values[-1]) == pytest.approx(2 + 12 / d)
    assert float(values[0]) == pytest.approx(4 / d) and float(values[-2]) == pytest.approx(12 / d)


def test_leading_features_are_the_eigenvectors_of_the_dense_matrix():
    draw = QuadraticOfQuadratics(d=4, p=2).draw([0], torch.float64)
    x = draw.inputs("train", torch.arange(4000)[None])[0]
    weights = SpectralChain().clip_labels(draw.labels(x[None])[0])
    phi, matrices = degree_two_features(x)
    values, vectors = torch.linalg.eigh(phi.mT @ (weights.unsqueeze(1) * phi) / len(x))
    leading = vectors[:, values.abs().argsort(descending=True)[:2]]
    expected = torch.einsum("km,kab->mab", leading, matrices)
    learned = quadratic_features(x, weights, 2)
    assert form_overlap(learned, expected) == pytest.approx(1, abs=1e-6)
    norms = torch.einsum("jab,kab->jk", learned, learned)
    torch.testing.assert_close(norms, torch.eye(2, dtype=torch.float64))


def test_linear_features_are_the_eigenvectors_of_the_label_weighted_covariance():
    x = gaussian(50, 4)
    y = x[:, 0] * x[:, 1] + x[:, 2]
    weights = y - y.mean()
    moment = sum(
        w * (torch.outer(row, row) - torch.eye(4)) for w, row in zip(weights, x, strict=True)
    )
    values, vectors = torch.linalg.eigh(moment)
    order = values.abs().argsort(descending=True)[:2]
    overlap = subspace_overlap(linear_features(x, weights, 2), vectors[:, order])
    assert overlap == pytest.approx(1)


def test_left_out_values_are_those_of_fits_without_the_point():
    """The centring keeps the mean of all points, so the explicit fits have a free intercept."""
    phi, y = gaussian(25, 3), gaussian(25, seed=1)
    ridge = 0.3
    left_out, predicted = ridge_with_left_out(phi, y, phi, ridge)
    whole = torch.cat([torch.ones(25, 1, dtype=torch.float64), phi - phi.mean(0)], 1)
    penalty = 25 * ridge * torch.diag(torch.tensor([0.0, 1, 1, 1], dtype=torch.float64))
    fitted = whole @ torch.linalg.solve(whole.mT @ whole + penalty, whole.mT @ y)
    torch.testing.assert_close(predicted, fitted)
    for i in range(25):
        others = [k for k in range(25) if k != i]
        a = whole[others]
        w = torch.linalg.solve(a.mT @ a + penalty, a.mT @ y[others])
        assert float(whole[i] @ w) == pytest.approx(float(left_out[i]))


def test_weights_are_clipped_and_centred():
    y = torch.cat([torch.zeros(99, dtype=torch.float64), torch.tensor([100.0])])
    clipped = SpectralChain(clip=2.0).clip_labels(y)
    assert float(clipped.mean()) == pytest.approx(0, abs=1e-12)
    assert float(clipped.max() - clipped.min()) == pytest.approx(2 * y.std(correction=0) + 1.0)
    torch.testing.assert_close(SpectralChain(clip=None).clip_labels(y), y - y.mean())


def test_heavy_tails_of_the_labels_hide_quadratic_features():
    """Mean overlap of two draws at n = 24 d(d + 1)/2, labels as they are and clipped."""
    target = QuadraticOfQuadratics(d=24, signs="plus")
    overlaps: dict[float | None, list[float]] = {3.0: [], None: []}
    for clip, values in overlaps.items():
        chain = SpectralChain(levels=("quadratic",), keep=(2,), degree=2, clip=clip, n_max=7200)
        for seed in range(2):
            samples = chain.draw_samples(target, seed, 8, "cpu")
            weights = chain.clip_labels(samples.y)
            forms = quadratic_features(samples.x, weights, 2)
            values.append(form_overlap(forms, samples.draw.planted_forms[0]))
    assert np.mean(overlaps[3.0]) > np.mean(overlaps[None]) + 0.2


def test_the_chain_learns_a_quadratic_of_quadratics_and_sight():
    settings = {"n_ratio": 1000.0, "ridge": 1e-3}
    quadratic = SpectralChain(levels=("quadratic",), keep=(1,), degree=2, n_max=8000, **settings)
    curve = quadratic.curve(QuadraticOfQuadratics(d=8, p=1), 0, 512, {"ridge": 1e-3})
    assert curve.overlap["forms"][-1] > 0.9 and curve.risk[-1] < 0.2
    chain = SpectralChain(levels=("linear",), keep=(4,), n_max=4000, **settings)
    curve = chain.curve(Sight(d=16), 0, 512, {"ridge": 1e-3})
    assert curve.overlap["subspace"][-1] > 0.95 and curve.risk[-1] < 0.15
