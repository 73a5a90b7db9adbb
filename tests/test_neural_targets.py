"""The harmonic decomposition of the neural-representation targets against quadrature and linear
algebra that share nothing with it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import eval_legendre, roots_gegenbauer, roots_hermitenorm, roots_legendre
from torch import Tensor

from bfc.errors import UserError
from bfc.targets import harmonics
from bfc.targets.block_norms import Blocks
from bfc.targets.low_rank import LowRank
from bfc.targets.quadratic_feature import QuadraticFeature


def projection_law(law: str, d: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of t = β·x, exact for polynomials of degree below 2 · count."""
    if law == "gaussian":
        nodes, weights = roots_hermitenorm(count)
    elif d == 2:
        nodes = math.sqrt(2) * np.cos((np.arange(count) + 0.5) * math.pi / count)
        weights = np.ones(count)
    else:
        nodes, weights = roots_gegenbauer(count, (d - 2) / 2)
        nodes = nodes * math.sqrt(d)
    return nodes, weights / weights.sum()


@pytest.mark.parametrize(
    "law, d", [("sphere", 2), ("sphere", 3), ("sphere", 8), ("sphere", 50), ("gaussian", 5)]
)
def test_the_recurrence_gives_orthonormal_polynomials(law, d):
    t, weights = projection_law(law, d, 12)
    values = np.stack(
        [harmonics.evaluate(law, d, [0.0] * k + [1.0], torch.tensor(t)).numpy() for k in range(9)]
    )
    np.testing.assert_allclose((values * weights) @ values.T, np.eye(9), atol=1e-10)
    for p in (1, 4, 7):
        np.testing.assert_allclose(
            harmonics.power(law, d, p),
            (values[: p + 1] * weights) @ t**p,
            atol=1e-9 * np.abs(t**p).max(),
        )


@pytest.mark.parametrize("d", [2, 3, 5])
def test_dimensions_are_ranks_of_monomials(d):
    """Monomials of degree ≤ k restricted to the sphere span N_0 + ... + N_k dimensions; on Gaussian
    inputs C(d + k, k)."""
    x = np.random.default_rng(d).normal(size=(400, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    for k in range(5):
        exponents = [e for e in itertools.product(range(k + 1), repeat=d) if sum(e) <= k]
        monomials = np.stack([np.prod(x ** np.array(e), axis=1) for e in exponents], 1)
        assert np.linalg.matrix_rank(monomials, tol=1e-8) == sum(
            harmonics.dimension("sphere", d, j) for j in range(k + 1)
        )
        assert len(exponents) == sum(harmonics.dimension("gaussian", d, j) for j in range(k + 1))


def sphere3(count: int = 24) -> tuple[Tensor, Tensor]:
    """A product rule on the sphere of radius √3, exact to degree 2 · count − 1 at least."""
    z, w = roots_legendre(count)
    angle = 2 * math.pi * np.arange(2 * count) / (2 * count)
    z, angle = (v.ravel() for v in np.meshgrid(z, angle, indexing="ij"))
    r = np.sqrt(1 - z**2)
    x = math.sqrt(3) * np.stack([r * np.cos(angle), r * np.sin(angle), z], 1)
    w = np.repeat(w, 2 * count)
    return torch.tensor(x), torch.tensor(w / w.sum())


def gaussian_grid(d: int, count: int) -> tuple[Tensor, Tensor]:
    t, w = roots_hermitenorm(count)
    x = np.stack(np.meshgrid(*[t] * d, indexing="ij"), -1).reshape(-1, d)
    weight = np.prod(np.stack(np.meshgrid(*[w / w.sum()] * d, indexing="ij"), -1), -1).ravel()
    return torch.tensor(x), torch.tensor(weight)


SPHERE = {
    "power": LowRank(d=3, degrees=(4,), basis="power"),
    "two powers": LowRank(d=3, degrees=(4, 3), alpha=(1.0, -0.7), basis="power"),
    "oblique": LowRank(d=3, degrees=(4, 4, 2), cosine=0.6),
    "oblique powers": LowRank(d=3, degrees=(5, 4), cosine=0.3, basis="power"),
    "quadratic": QuadraticFeature(d=3, alpha=(0.5, 1.0, -0.3)),
}
GAUSSIAN = {
    "power": LowRank(d=3, degrees=(4,), basis="power", law="gaussian"),
    "oblique": LowRank(d=3, degrees=(4, 3), cosine=0.5, law="gaussian"),
    "oblique powers": LowRank(d=3, degrees=(4, 2), cosine=0.5, basis="power", law="gaussian"),
    "quadratic": QuadraticFeature(d=3, alpha=(0.5, 1.0), law="gaussian"),
    "two features": QuadraticFeature(
        d=4, alpha=(0.5, 0.8), features=2, product=1.5, law="gaussian"
    ),
}


@pytest.mark.parametrize("target", SPHERE.values(), ids=SPHERE.keys())
def test_shares_on_the_sphere_equal_quadrature(target):
    """Var of degree k = ∫∫ f(x) f(y) N_k P_k(x·y), with Legendre polynomials P_k for d = 3."""
    x, weights = sphere3()
    draw = target.draw([3], torch.float64)
    f = draw.labels(x.unsqueeze(0))[0]
    weighted, cosines = (f * weights).numpy(), (x @ x.T / 3).clamp(-1, 1).numpy()
    assert abs(float(weights @ f)) < 1e-10 and float(weights @ f**2) == pytest.approx(1, abs=1e-10)
    parts = {part.degree: part for part in target.harmonics()}
    for k in range(1, target.degree + 2):
        share = weighted @ ((2 * k + 1) * eval_legendre(k, cosines)) @ weighted
        assert share == pytest.approx(parts[k].share if k in parts else 0.0, abs=1e-10), k
        assert k not in parts or parts[k].dimension == 2 * k + 1


@pytest.mark.parametrize("target", GAUSSIAN.values(), ids=GAUSSIAN.keys())
def test_shares_under_gaussian_inputs_equal_a_hermite_expansion(target):
    """Squares of the coefficients of all products of Hermite polynomials, by a product rule."""
    d, max_degree = target.d, target.degree
    x, weights = gaussian_grid(d, max_degree + 1)
    weighted = (target.draw([3], torch.float64).labels(x.unsqueeze(0))[0] * weights).numpy()
    hermite = [
        np.polynomial.hermite_e.hermeval(x.numpy(), [0] * k + [1]) / math.sqrt(math.factorial(k))
        for k in range(max_degree + 1)
    ]
    shares = dict.fromkeys(range(max_degree + 1), 0.0)
    for e in itertools.product(range(max_degree + 1), repeat=d):
        if sum(e) <= max_degree:
            shares[sum(e)] += (
                float(weighted @ np.prod([hermite[k][:, i] for i, k in enumerate(e)], axis=0)) ** 2
            )
    parts = {part.degree: part for part in target.harmonics()}
    for k in range(1, max_degree + 1):
        assert shares[k] == pytest.approx(parts[k].share if k in parts else 0.0, abs=1e-9), k
    assert sum(shares.values()) == pytest.approx(1, abs=1e-9)


def test_a_fourth_power_is_mostly_of_degree_2_and_the_gegenbauer_is_pure():
    for d, share in ((8, 0.1463), (24, 0.2041)):
        last = LowRank(d=d, degrees=(4,), basis="power").harmonics()[-1]
        assert last.degree == 4 and last.share == pytest.approx(share, abs=5e-5)
        (pure,) = LowRank(d=d, degrees=(4,)).harmonics()
        assert (
            pure.degree == 4
            and pure.share == pytest.approx(1)
            and pure.dimension == harmonics.dimension("sphere", d, 4)
        )
    assert str(pure) == "degree 4: 1 of the variance, dimension 17250"


def test_polynomials_of_a_flat_form_are_pure():
    """With A² = I the Jacobi polynomials of xᵀAx are harmonics, of twice their degree."""
    for k, alpha in enumerate([(1.0,), (0.0, 1.0), (0.0, 0.0, 1.0)], 1):
        (pure,) = QuadraticFeature(d=8, alpha=alpha).harmonics()
        assert pure.degree == 2 * k and pure.share == pytest.approx(1)


@pytest.mark.parametrize("law", ["sphere", "gaussian"])
def test_block_moments_against_samples(law):
    blocks = Blocks(law, (2, 1, 3))
    x = np.random.default_rng(0).normal(size=(1_000_000, 6))
    if law == "sphere":
        x *= math.sqrt(6) / np.linalg.norm(x, axis=1, keepdims=True)
    z = np.stack([(x[:, a:b] ** 2).sum(1) for a, b in ((0, 2), (2, 3), (3, 6))], 1)
    for e in ((1, 0, 0), (1, 1, 0), (2, 0, 1), (0, 2, 1)):
        values = np.prod(z ** np.array(e), axis=1)
        error = values.std() / 1000
        assert abs(values.mean() - float(blocks.mean({e: 1}))) < 4.5 * error, e


def test_directions_have_the_stated_cosines():
    draw = LowRank(d=7, degrees=(2, 3, 4), cosine=0.4).draw([0, 1], torch.float64)
    gram = draw.beta @ draw.beta.mT
    expected = torch.full((3, 3), 0.4, dtype=torch.float64).fill_diagonal_(1.0)
    torch.testing.assert_close(gram, expected.expand(2, 3, 3))
    frame = QuadraticFeature(d=9, features=2).draw([0, 1], torch.float64).frame
    torch.testing.assert_close(frame @ frame.mT, torch.eye(8, dtype=torch.float64).expand(2, 8, 8))


@pytest.mark.parametrize(
    "kind, changes, message",
    [
        ("low_rank", {"degrees": [0]}, "target.degrees=[0]: must be integers from 1"),
        ("low_rank", {"degrees": []}, "target.degrees=[]"),
        ("low_rank", {"degrees": [33]}, "from 1 to 32"),
        ("low_rank", {"d": 2, "degrees": [1, 1, 1]}, "a list of 1 to target.d = 2"),
        ("low_rank", {"d": 1}, "target.d=1: must be at least 2 with target.law=sphere"),
        ("low_rank", {"alpha": [1.0, 1.0]}, "target.alpha=[1.0, 1.0]: must be a list of 1 numbers"),
        ("low_rank", {"alpha": [0.0]}, "other than 0"),
        ("low_rank", {"cosine": 1.0}, "target.cosine=1.0"),
        ("quadratic_feature", {"features": 9}, "target.features=9: must be an integer from 1 to 4"),
        ("quadratic_feature", {"rank": 3}, "target.rank=3: must be an even integer from 2 to 16"),
        (
            "quadratic_feature",
            {"product": 1.0},
            "target.product=1.0: must be 0 with target.features=1",
        ),
        ("quadratic_feature", {"alpha": [0.0]}, "not all 0"),
        ("quadratic_feature", {"alpha": []}, "1 to 6 numbers"),
        ("quadratic_feature", {"d": 1}, "target.d=1"),
        ("quadratic_feature", {"law": "cube"}, "target.law=cube: must be sphere or gaussian"),
    ],
)
def test_bad_values_cost_one_sentence(build, kind, changes, message):
    with pytest.raises(UserError) as caught:
        build("target", kind, **changes)
    assert message in str(caught.value) and "\n" not in str(caught.value)
