"""Regression on explicit features against direct formulas, direct solves and scikit-learn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso as PeerLasso
from torch import Tensor

from bfc.baselines import monomials
from bfc.baselines.features import FeatureRidge, RandomFeatures
from bfc.baselines.kernels import NNGP, Polynomial
from bfc.baselines.lasso import Lasso
from bfc.baselines.linearised import Linearised
from bfc.baselines.monomials import Monomials, products
from bfc.errors import UserError
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.tasks.regression import Regression

TARGET = QuadraticDenseNet(d=4, L=3, widths=(2, 2))


def gaussian(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# --- monomials and random features ------------------------------------------------------------


@pytest.mark.parametrize(("d", "degree"), [(1, 5), (3, 4), (4, 2), (2, 1)])
@pytest.mark.parametrize("basis", ["hermite", "monomial"])
def test_products_are_all_products_once(d, degree, basis):
    x = gaussian(9, d)

    def one(e, t):
        if basis == "monomial":
            return t**e / math.sqrt(math.prod(range(2 * e - 1, 0, -2)))
        coefficients = np.polynomial.hermite_e.herme2poly([0] * e + [1]) / math.sqrt(
            math.factorial(e)
        )
        return sum(c * t**k for k, c in enumerate(coefficients))

    columns = []
    for exponents in itertools.product(range(degree + 1), repeat=d):
        if sum(exponents) <= degree:
            columns.append(math.prod(one(e, x[:, i]) for i, e in enumerate(exponents)))
    expected = torch.stack(columns, 1)
    phi = products(x, degree, basis)
    assert phi.shape == (9, math.comb(d + degree, degree)) == expected.shape

    def sort_columns(m: Tensor) -> Tensor:
        return m[:, np.lexsort(np.round(m.numpy(), 9)[:3]).copy()]

    torch.testing.assert_close(sort_columns(phi), sort_columns(expected), rtol=1e-9, atol=1e-9)


def test_hermite_products_are_orthonormal():
    phi = products(gaussian(400_000, 2), 2, "hermite")
    torch.testing.assert_close(
        phi.mT @ phi / len(phi), torch.eye(6, dtype=torch.float64), rtol=0, atol=0.03
    )


def test_monomial_regression_equals_the_polynomial_kernel_where_both_are_least_squares():
    """More points than monomials and hardly any ridge: the same functions, hence the same fit."""
    noisy = Regression(noise=0.5).wrap(TARGET)
    risks = []
    for kind in (Monomials, Polynomial):
        baseline = kind(degree=4, ridge=1e-9, n_max=300)
        risks.append(baseline.curve(noisy, 0, 500, {"ridge": 1e-9}).risk[-8:])
    assert math.comb(8, 4) < baseline.grid[-8] and risks[0] == pytest.approx(risks[1], rel=1e-4)
    assert min(risks[0]) > 1e-3


@pytest.mark.parametrize(
    ("activation", "closed"),
    [
        ("relu", lambda x, z: NNGP(depth=2, bias=0.0).gram(x, z)),
        (
            2,
            lambda x, z: (
                (x.square().mean(1)[:, None] * z.square().mean(1) + 2 * (x @ z.T / x.shape[1]) ** 2)
                / 3
            ),
        ),
    ],
)
def test_random_features_tend_to_their_closed_form(activation, closed):
    x, z = gaussian(5, 6), gaussian(4, 6, seed=1)
    samples = torch.stack(
        [
            RandomFeatures(number=2000, activation=activation, bias=0.0).gram(x, z, seed)
            for seed in range(60)
        ]
    )
    error = samples.std(0) / math.sqrt(len(samples))
    assert ((samples.mean(0) - closed(x, z)).abs() < 4.5 * error).all() and error.max() < 0.03


@pytest.mark.parametrize(
    "baseline",
    [RandomFeatures(number=50, n_max=64), Linearised(width=10, n_max=64), Monomials(n_max=64)],
    ids=lambda b: type(b).__name__,
)
def test_the_curve_is_that_of_the_kernel_of_the_seed(baseline):
    """Against a solve with ``gram``; random features are redrawn for every seed."""
    draw = TARGET.draw([7], torch.float64)
    x, x_test = (
        draw.inputs(role, torch.arange(rows)[None]) for role, rows in (("train", 64), ("test", 100))
    )
    seeded = {} if isinstance(baseline, Monomials) else {"seed": 7}
    k, cross = baseline.gram(x[0], x[0], **seeded), baseline.gram(x_test[0], x[0], **seeded)
    predicted = cross @ torch.linalg.solve(
        k + 0.01 * torch.eye(64, dtype=torch.float64), draw.labels(x)[0]
    )
    risk = (predicted - draw.labels(x_test)[0]).square().mean() / draw.variance[0]
    assert baseline.curve(TARGET, 7, 100, {"ridge": 0.01}).risk[-1] == pytest.approx(
        float(risk), rel=1e-8
    )
    if seeded:
        assert not torch.allclose(k, baseline.gram(x[0], x[0], seed=8), rtol=0.01)


# --- sparse regression --------------------------------------------------------------------------


def test_lasso_equals_scikit_learn_and_keeps_the_order_of_strengths():
    x, x_test = gaussian(60, 3), gaussian(20, 3, seed=1)
    y = 1 + x[:, 0] * x[:, 1] + 0.2 * gaussian(60, 1, seed=2)[:, 0]
    phi, phi_test = (products(rows, 3, "hermite")[:, 1:].numpy() for rows in (x, x_test))
    strengths = [0.3, 1.0, 0.1]
    predictions = Lasso(degree=3, n_max=60).predict(x, y, x_test, strengths)
    unit = float(y.std()) * math.sqrt(2 * math.log(phi.shape[1] + 1) / 60)
    for strength, row in zip(strengths, predictions, strict=True):
        peer = PeerLasso(alpha=strength * unit, tol=1e-8, max_iter=100_000).fit(phi, y.numpy())
        np.testing.assert_allclose(row.numpy(), peer.predict(phi_test), atol=0.05)


def test_lasso_finds_a_sparse_polynomial_where_ridge_does_not():
    """A product of three of ten coordinates among 286 monomials, from 90 labels."""
    parity = Parity(d=10, degree=3, law="gaussian")
    lasso = Lasso(degree=3, n_max=90, n_ratio=9.0, regularisation_grid=(0.03, 0.1), tuning_draws=1)
    ridge = Monomials(degree=3, n_max=90)

    def median_risk(baseline) -> float:
        tuned = baseline.tune(parity, 2000)
        return np.median([baseline.curve(parity, s, 2000, tuned).risk[-1] for s in range(3)])

    assert median_risk(lasso) < 0.05
    assert median_risk(ridge) > 0.4


def test_labels_without_variation_are_fitted_by_their_mean():
    x = gaussian(10, 2)
    assert torch.equal(
        Lasso(degree=2, n_max=10).predict(x, torch.ones(10, dtype=torch.float64), x, [1.0]),
        torch.ones(1, 10).double(),
    )


# --- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Monomials, Lasso])
def test_too_many_monomials_are_refused_with_their_count(monkeypatch, kind):
    count = r"there are C\(64 \+ 8, 8\) = 11969016345 monomials"
    with pytest.raises(UserError, match=rf"^baseline\.degree=8: must be smaller: {count}"):
        kind(degree=8).check(QuadraticDenseNet(d=64))
    baseline = kind(degree=4)
    baseline.check(QuadraticDenseNet(d=16))
    monkeypatch.setattr(monomials, "available_memory", lambda: 1 << 20)
    words = r"must be smaller, or baseline\.n_max: .* = 4845 monomials .* GiB are free$"
    with pytest.raises(UserError, match=rf"^baseline\.degree=4: {words}"):
        baseline.check(QuadraticDenseNet(d=16))


def test_memory_counts_the_features(monkeypatch):
    baseline = Monomials(degree=4, n_max=64)
    needed = baseline._extra_bytes(TARGET)
    assert isinstance(baseline, FeatureRidge) and needed > 8 * 64 * math.comb(8, 4)
    monkeypatch.setattr("bfc.baselines.ridge.available_memory", lambda device: needed)
    with pytest.raises(UserError, match=r"^baseline\.n_max=64: must be smaller: "):
        baseline.curve(TARGET, 0, 20, {"ridge": 1.0})
