"""Baselines beyond closed-form kernels. A battery over every YAML of conf/baseline, then each
against an oracle: explicit products, the autograd Jacobian, networks drawn at random, scikit-learn,
and a second implementation step by step."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge as PeerRidge
from sklearn.linear_model import Lasso as PeerLasso
from torch import Tensor

from bfc.baselines import monomials
from bfc.baselines.compositional import QuadraticNNGP, QuadraticNTK
from bfc.baselines.features import FeatureRidge, RandomFeatures
from bfc.baselines.kernels import NNGP, NTK, Polynomial
from bfc.baselines.lasso import Lasso
from bfc.baselines.linearised import Linearised
from bfc.baselines.monomials import Monomials, products
from bfc.baselines.sequential import Sequential
from bfc.errors import UserError
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.tasks.regression import Regression

TARGET = QuadraticDenseNet(d=4, L=3, widths=(2, 2))


def gaussian(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# --- one battery over conf/baseline -------------------------------------------------------------


def test_the_yaml_lists_every_field_with_its_default(build, node, every_baseline):
    baseline = build("baseline", every_baseline)
    assert set(node("baseline", every_baseline)) - {"_target_"} == {
        field.name for field in dataclasses.fields(baseline)
    }
    assert baseline == type(baseline)(), "a default in the YAML differs from the one in Python"
    assert baseline.label and isinstance(type(baseline).version, int)


def test_a_curve_is_a_function_of_the_seed_and_its_beginning_of_the_first_labels(small_baseline):
    small_baseline.check(TARGET)
    tuned = small_baseline.tune(TARGET, 64)
    assert (
        json.loads(json.dumps(tuned)) == tuned
        and len(tuned["tried"]) == 2
        and tuned["seeds"] == [-1]
    )
    curve = small_baseline.curve(TARGET, 3, 64, tuned)
    assert (
        curve.n == small_baseline.grid
        and curve.n[0] == 8
        and curve.n[-1] == 48
        and all(0 < r < 1e3 for r in curve.risk)
    )
    assert (
        small_baseline.curve(TARGET, 3, 64, tuned).risk
        == curve.risk
        != small_baseline.curve(TARGET, 4, 64, tuned).risk
    )
    begun = dataclasses.replace(small_baseline, n_max=24).curve(TARGET, 3, 64, tuned)
    together = dict(zip(curve.n, curve.risk, strict=True))
    common = [
        (risk, together[n]) for n, risk in zip(begun.n, begun.risk, strict=True) if n in together
    ]
    assert len(common) >= 2 and all(
        risk == pytest.approx(other, rel=1e-8) for risk, other in common
    )


def test_noise_hurts_what_is_learned_and_not_what_is_judged(small_baseline):
    """With labels of noise alone nothing is learned: a risk of about one at least, where the
    noiseless one is below."""
    tuned = {"ridge": 1e-2, "regularisation": 1e-2}
    clean, noisy = (
        np.mean(
            [
                small_baseline.curve(Regression(noise=noise).wrap(TARGET), seed, 256, tuned).risk[
                    -1
                ]
                for seed in range(3)
            ]
        )
        for noise in (0.0, 3.0)
    )
    assert clean < noisy


# --- monomials and features ---------------------------------------------------------------------


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

    every = [e for e in itertools.product(range(degree + 1), repeat=d) if sum(e) <= degree]
    want = torch.stack(
        [math.prod(one(e, x[:, i]) for i, e in enumerate(exponents)) for exponents in every], 1
    )
    found = products(x, degree, basis)
    assert found.shape == (9, math.comb(d + degree, degree)) == want.shape
    order = [np.lexsort(np.round(m.numpy(), 9)[:3]) for m in (found, want)]
    torch.testing.assert_close(
        found[:, order[0].copy()], want[:, order[1].copy()], rtol=1e-9, atol=1e-9
    )


def test_hermite_products_are_orthonormal():
    phi = products(gaussian(400_000, 2), 2, "hermite")
    torch.testing.assert_close(
        phi.mT @ phi / len(phi), torch.eye(6, dtype=torch.float64), rtol=0, atol=0.03
    )


def test_monomial_regression_equals_the_polynomial_kernel_where_both_are_least_squares():
    """More points than monomials and hardly any ridge: the same space of functions, hence the same
    fit."""
    one, other = (
        Monomials(degree=4, ridge=1e-9, n_max=300),
        Polynomial(degree=4, ridge=1e-9, n_max=300),
    )
    noisy = Regression(noise=0.5).wrap(TARGET)
    risks = [baseline.curve(noisy, 0, 500, {"ridge": 1e-9}).risk[-8:] for baseline in (one, other)]
    assert math.comb(8, 4) < one.grid[-8] and risks[0] == pytest.approx(risks[1], rel=1e-4)
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
    """Against a solve with ``gram`` of the measured seed; random features are redrawn for every
    seed."""
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


# --- networks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "quadratic"])
@pytest.mark.parametrize("depth", [2, 4])
def test_the_linearised_network_has_the_jacobian_of_autograd(activation, depth):
    baseline = Linearised(depth=depth, width=7, activation=activation, bias=0.3)
    x, z = gaussian(4, 3), gaussian(5, 3, seed=1)
    parameters = [
        p.requires_grad_() for pair in baseline.weights(3, 5, torch.float64, x.device) for p in pair
    ]

    def output(row: Tensor) -> Tensor:
        u = row / math.sqrt(3)
        for layer in range(depth):
            h = (
                parameters[2 * layer] @ u + math.sqrt(0.3) * parameters[2 * layer + 1]
            ) / math.sqrt(1.3)
            u = (
                math.sqrt(2) * h.relu() if activation == "relu" else (h**2 - 1) / math.sqrt(2)
            ) / math.sqrt(7)
        return h.squeeze()

    def jacobian(rows: Tensor) -> Tensor:
        return torch.stack(
            [
                torch.cat([g.flatten() for g in torch.autograd.grad(output(row), parameters)])
                for row in rows
            ]
        )

    direct, found = jacobian(x) @ jacobian(z).T, baseline.gram(x, z, 5)
    torch.testing.assert_close(
        found * float(direct[0, 0] / found[0, 0]), direct, rtol=1e-9, atol=1e-11
    )


def test_a_wide_linearised_network_tends_to_the_tangent_kernel():
    x = gaussian(4, 4)
    samples = torch.stack(
        [Linearised(depth=3, width=600, bias=0.0).gram(x, x, seed) for seed in range(24)]
    )
    error = samples.std(0) / math.sqrt(len(samples))
    gap = (samples.mean(0) - NTK(depth=3, bias=0.0).gram(x, x)).abs()
    assert (gap < 5 * error + 2 / 600).all() and error.max() < 0.05


def quadratic_network(
    x: Tensor, depth: int, links: str, bias: float, width: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Conjugate and tangent kernels on the rows of ``x`` of one random network, as the docstring of
    the closed form has it: the gradient of a matrix is (gradient of what it adds to) ⊗ (its
    inputs)."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=x.dtype, generator=generator)

    u = {0: x / math.sqrt(x.shape[1])}
    used = []
    for level in range(2, depth + 1):
        previous = level - 1 if level > 2 else 0
        below = {"chain": {previous}, "skip": {previous, 0}, "dense": {0, *range(2, level)}}[links]
        scale = 1 / math.sqrt(len(below) + bias)
        parts = {j: (scale * u[j] @ normal(u[j].shape[1], width)).requires_grad_() for j in below}
        shift = (scale * math.sqrt(bias) * normal(1, width)).expand(len(x), -1).requires_grad_()
        used += [(part, scale * u[j].detach()) for j, part in parts.items()]
        used.append((shift, scale * math.sqrt(bias) * torch.ones(len(x), 1, dtype=x.dtype)))
        u[level] = ((sum(parts.values()) + shift) ** 2 - 1) / math.sqrt(2 * width)
    scale = 1 / math.sqrt(depth + 1)
    out = sum(scale * part @ normal(part.shape[1], 1) for part in u.values())
    read = [scale * torch.ones(len(x), 1, dtype=x.dtype), *(scale * part for part in u.values())]
    conjugate = sum(part @ part.T for part in read).detach()
    gradients = torch.autograd.grad(out.sum(), [part for part, _ in used])
    return conjugate, conjugate + sum(
        (g @ g.T) * (h @ h.T) for g, (_, h) in zip(gradients, used, strict=True)
    )


@pytest.mark.parametrize(
    ("depth", "links", "bias"),
    [(2, "skip", 0.0), (3, "chain", 0.0), (3, "skip", 0.4), (4, "dense", 0.2)],
)
def test_compositional_kernels_are_limits_of_random_quadratic_networks(depth, links, bias):
    """Mean over 200 networks of width 200: within 5 standard errors of it, plus the bias of a
    finite width."""
    x = gaussian(3, 5) * 0.7
    generator = torch.Generator().manual_seed(depth)
    samples = [quadratic_network(x, depth, links, bias, 200, generator) for _ in range(200)]
    options = {"depth": depth, "links": links, "bias": bias}
    for i, kernel in enumerate((QuadraticNNGP(**options), QuadraticNTK(**options))):
        found = torch.stack([sample[i] for sample in samples])
        scale = kernel.gram(
            torch.ones(1, 5, dtype=torch.float64), torch.ones(1, 5, dtype=torch.float64)
        ).item()
        assert scale == pytest.approx(1)
        closed = kernel.gram(x, x) * (kernel._typical(tangent=True) if i else 1)
        error = found.std(0) / math.sqrt(200)
        assert (
            (found.mean(0) - closed).abs() < 5 * error + 0.03 * (depth - 2) * closed.abs().max()
        ).all(), (found.mean(0), closed)
        assert error.max() < 0.1 * closed.abs().max(), "too few networks to tell"


# --- fitted anew at every n ---------------------------------------------------------------------


def test_lasso_equals_scikit_learn_and_keeps_the_order_of_strengths():
    x, x_test = gaussian(60, 3), gaussian(20, 3, seed=1)
    y = 1 + x[:, 0] * x[:, 1] + 0.2 * gaussian(60, 1, seed=2)[:, 0]
    phi, phi_test = (products(rows, 3, "hermite")[:, 1:].numpy() for rows in (x, x_test))
    strengths = [0.3, 1.0, 0.1]
    found = Lasso(degree=3, n_max=60).predict(x, y, x_test, strengths)
    unit = float(y.std()) * math.sqrt(2 * math.log(phi.shape[1] + 1) / 60)
    for strength, row in zip(strengths, found, strict=True):
        peer = PeerLasso(alpha=strength * unit, tol=1e-8, max_iter=100_000).fit(phi, y.numpy())
        np.testing.assert_allclose(row.numpy(), peer.predict(phi_test), atol=0.05)


def test_lasso_finds_a_sparse_polynomial_where_ridge_does_not():
    """A product of three of ten coordinates among 286 monomials, from 90 labels."""
    parity = Parity(d=10, degree=3, law="gaussian")
    lasso, ridge = (
        Lasso(degree=3, n_max=90, n_ratio=9.0, regularisation_grid=(0.03, 0.1), tuning_draws=1),
        Monomials(degree=3, n_max=90),
    )
    risks = [
        np.median([b.curve(parity, seed, 2000, b.tune(parity, 2000)).risk[-1] for seed in range(3)])
        for b in (lasso, ridge)
    ]
    assert risks[0] < 0.05 and risks[1] > 0.4, risks


def test_labels_without_variation_are_fitted_by_their_mean():
    x = gaussian(10, 2)
    assert torch.equal(
        Lasso(degree=2, n_max=10).predict(x, torch.ones(10, dtype=torch.float64), x, [1.0]),
        torch.ones(1, 10).double(),
    )


def test_kernels_in_sequence_equal_a_direct_computation():
    """Stage by stage with scikit-learn's kernel ridge regression, gradients by automatic
    differentiation."""
    draw = QuadraticDenseNet(d=5, L=3, widths=(2, 2)).draw([0], torch.float64)
    x, x_test = (
        draw.inputs(role, torch.arange(rows)[None])[0]
        for role, rows in (("train", 100), ("test", 30))
    )
    y = draw.labels(x[None])[0]
    ridge, u, u_test = 1e-2, x, x_test
    for stage, own in enumerate((slice(0, 33), slice(33, 66), slice(66, 100))):
        width = u.shape[1]
        centre = y[own].mean()
        peer = PeerRidge(
            alpha=ridge, kernel="polynomial", degree=2, gamma=0.5 / width, coef0=0.5
        ).fit(u[own].numpy(), y[own] - centre)
        dual = torch.tensor(peer.dual_coef_)

        def fitted(v: Tensor) -> Tensor:
            return ((1 + v @ u[own].T / width) / 2) ** 2 @ dual + centre  # noqa: B023

        if stage == 2:
            break
        gradient = torch.stack([torch.autograd.functional.jacobian(fitted, row) for row in u[own]])
        values, vectors = torch.linalg.eigh(gradient.T @ gradient)
        top = vectors[:, values.argsort(descending=True)[:3]]
        phi, phi_test = (
            torch.stack(
                [(v @ top)[:, i] * (v @ top)[:, j] for i in range(3) for j in range(i, 3)]
                + [fitted(v)],
                1,
            )
            for v in (u, u_test)
        )
        mean, sd = phi[own].mean(0), (phi[own] - phi[own].mean(0)).square().mean(0).sqrt()
        phi, phi_test = (phi - mean) / sd, (phi_test - mean) / sd
        half = (5 + 7) / 2
        u, u_test = (
            torch.cat([a * (half / 5) ** 0.5, b * (half / 7) ** 0.5], 1)
            for a, b in ((x, phi), (x_test, phi_test))
        )
    found = Sequential(stages=3, passed=3, n_max=100).predict(x, y, x_test, [ridge])[0]
    torch.testing.assert_close(found, fitted(u_test), rtol=1e-6, atol=1e-7)


def test_a_sequence_of_one_is_the_kernel():
    x, z = gaussian(50, 4), gaussian(9, 4, 1)
    y = x[:, 0] * x[:, 1]
    predicted = Sequential(stages=1, degree=3, n_max=50).predict(x, y, z, [0.1])
    peer = PeerRidge(alpha=0.1, kernel="polynomial", degree=3, gamma=1 / 8, coef0=0.5).fit(
        x.numpy(), (y - y.mean()).numpy()
    )
    np.testing.assert_allclose(
        predicted[0].numpy(), peer.predict(z.numpy()) + float(y.mean()), rtol=1e-8
    )


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Monomials, Lasso])
def test_too_many_monomials_are_refused_with_their_count(monkeypatch, kind):
    with pytest.raises(
        UserError,
        match=r"^baseline\.degree=8: must be smaller: there are C\(64 \+ 8, 8\) = 11969016345 monomials",
    ):
        kind(degree=8).check(QuadraticDenseNet(d=64))
    baseline = kind(degree=4)
    baseline.check(QuadraticDenseNet(d=16))
    monkeypatch.setattr(monomials, "available_memory", lambda: 1 << 20)
    with pytest.raises(
        UserError,
        match=r"^baseline\.degree=4: must be smaller, or baseline\.n_max: .* = 4845 monomials .* GiB are free$",
    ):
        baseline.check(QuadraticDenseNet(d=16))


def test_memory_counts_the_features(monkeypatch):
    baseline = Monomials(degree=4, n_max=64)
    beside = baseline._extra_bytes(TARGET)
    assert isinstance(baseline, FeatureRidge) and beside > 8 * 64 * math.comb(8, 4)
    monkeypatch.setattr("bfc.baselines.ridge.available_memory", lambda device: beside)
    with pytest.raises(UserError, match=r"^baseline\.n_max=64: must be smaller: "):
        baseline.curve(TARGET, 0, 20, {"ridge": 1.0})


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (RandomFeatures, "number", 0),
        (RandomFeatures, "activation", "tanh"),
        (RandomFeatures, "activation", 17),
        (RandomFeatures, "bias", -1),
        (Monomials, "degree", 0),
        (Monomials, "basis", "fourier"),
        (Lasso, "degree", 1.5),
        (Lasso, "regularisation", 0),
        (Lasso, "regularisation_grid", ()),
        (Lasso, "n_max", 8),
        (Lasso, "n_ratio", 1.0),
        (Lasso, "tuning_draws", 0),
        (Lasso, "tuning_eps", 1),
        (Lasso, "basis", "fourier"),
        (Sequential, "stages", 0),
        (Sequential, "degree", 0),
        (Sequential, "passed", -1),
        (Linearised, "depth", 1),
        (Linearised, "width", 0),
        (Linearised, "activation", "gelu"),
        (Linearised, "bias", -1),
        (QuadraticNNGP, "depth", 1),
        (QuadraticNTK, "links", "all"),
        (QuadraticNTK, "bias", math.nan),
    ],
)
def test_bad_values_are_refused_with_a_sentence(kind, field, value):
    with pytest.raises(UserError, match=rf"^baseline\.{field}=.*: must be "):
        kind(**{field: value})
