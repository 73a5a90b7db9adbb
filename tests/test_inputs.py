"""Input laws other than the Gaussian, and the constants of targets on them."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from target_checks import (
    assert_function_of_seed,
    assert_population,
    assert_rows_nested,
    brute_force,
    rows,
)
from torch import Tensor

from bfc.targets.inputs import Inputs, Mixture
from bfc.targets.quadratic_densenet import QuadraticDenseNet

LAWS = {
    "uniform": "uniform",
    "sign": "sign",
    "laplace": "laplace",
    "exponential": "exponential",
    "mixture": Mixture(),
    "one skewed Gaussian": Mixture(components=1, skew=-2.0),
    "Gaussian mixture": Mixture(components=4, separation=2.0, skew=0.0),
}


@pytest.fixture(params=LAWS.values(), ids=LAWS.keys())
def law(request):
    return request.param


def test_inputs_are_white(law):
    x = torch.cat(
        [
            Inputs(law, (0, 5), 3, torch.float64).rows(role, rows(1 << 17, 2))
            for role in ("train", "test")
        ],
        1,
    )
    n = x.shape[1]
    spread = (x.unsqueeze(3) * x.unsqueeze(2)).std(1).clamp(min=1e-9) / n**0.5
    assert float((x.mean(1).abs() * n**0.5).max()) < 4.5
    assert (
        float(
            (
                (x.mT @ x / n - torch.eye(3, dtype=torch.float64)).abs() / spread.clamp(min=1e-6)
            ).max()
        )
        < 4.5
    )


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("uniform", stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))),
        ("laplace", stats.laplace(scale=0.5**0.5)),
        ("exponential", stats.expon(loc=-1)),
    ],
)
def test_product_laws_against_scipy(name, peer):
    for dtype in (torch.float32, torch.float64):
        x = Inputs(name, (3,), 5, dtype).rows("train", rows(4000, 1))
        assert stats.kstest(x.flatten().numpy(), peer.cdf).pvalue > 1e-3 and bool(
            x.isfinite().all()
        )


def test_a_mixture_of_one_component_has_the_skewness_of_the_skew_normal():
    x = (
        Inputs(Mixture(components=1, spread=1.0, skew=3.0), (0,), 2, torch.float64)
        .rows("train", rows(1 << 18, 1))
        .flatten()
    )
    assert float((x**3).mean()) == pytest.approx(float(stats.skewnorm(3.0).stats("s")), abs=0.02)


def test_components_of_a_mixture_keep_their_distance():
    """Far apart and hardly scattered, rows fall into as many heaps of equal size as there are
    components."""
    x = Inputs(Mixture(components=3, separation=1000.0, skew=0.0), (0,), 2, torch.float64).rows(
        "train", rows(3000, 1)
    )[0]
    for _ in range(3):
        near = (x - x[0]).norm(dim=1) < 0.5
        assert 880 < near.sum() < 1120
        x = x[~near]
    assert len(x) == 0


def test_targets_on_other_laws_have_the_variance_they_state(law):
    assert_population(QuadraticDenseNet(d=4, L=3, widths=(3, 2), law=law, quadrature=1 << 18))


def test_targets_on_other_laws_are_functions_of_their_seed(law):
    target = QuadraticDenseNet(d=5, law=law, quadrature=1 << 15)
    assert_function_of_seed(target, torch.float64)
    assert_rows_nested(target)


def law_grid(name: str, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """One-dimensional nodes and weights, exact for polynomials of this degree under the law."""
    count = degree // 2 + 1
    if name == "sign":
        return np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    if name == "uniform":
        nodes, weights = np.polynomial.legendre.leggauss(count)
        return nodes * math.sqrt(3), weights / 2
    nodes, weights = np.polynomial.laguerre.laggauss(count)
    if name == "exponential":
        return nodes - 1, weights
    return np.concatenate([-nodes, nodes]) / math.sqrt(2), np.concatenate([weights, weights]) / 2


@pytest.mark.parametrize("values", [{"L": 3}, {"L": 4}, {"L": 3, "base": "x_squared"}], ids=str)
@pytest.mark.parametrize("name", ["uniform", "sign", "laplace", "exponential"])
def test_constants_of_product_laws_against_exact_grids(monkeypatch, name, values):
    """The importance nodes see what a plain sample misses.

    At degree 8 the label of an exponential input has a kurtosis beyond any plain sample.
    """
    if name == "sign" and "base" in values:
        pytest.skip("x^2 - 1 is zero")
    target = QuadraticDenseNet(
        d=3, widths=(2,) * (values["L"] - 1), law=name, quadrature=1 << 17, **values
    )
    draw = target.draw([0, 7], torch.float64)

    def tensor_grid(d: int, degree: int) -> tuple[Tensor, Tensor]:
        nodes, weights = law_grid(name, degree)
        x = np.stack(np.meshgrid(*[nodes] * d, indexing="ij"), -1).reshape(-1, d)
        products = functools.reduce(np.multiply.outer, [weights] * d)
        return torch.tensor(x), torch.tensor(products.ravel())

    monkeypatch.setattr(torch.linalg, "qr", None)  # the grid fits the coordinates of x alone
    for r in range(2):
        weights = {
            level: {j: w[r] for j, w in parts.items()} for level, parts in draw.weights.items()
        }
        x = draw.inputs("test", rows(5, 2))[r]
        want = brute_force(target, weights, x, tensor_grid)
        score = (draw.variance[r] - want["variance"]) / draw.variance_error[r]
        assert abs(float(score)) < 4.5, (float(score), draw.variance_error)
        assert draw.variance[r] == pytest.approx(float(want["variance"]), rel=0.2)
        for level, c in zip(target.levels, want["level_sd"], strict=True):
            assert float(draw.moments.level_sd[r, level - 2]) == pytest.approx(float(c), rel=0.1)
            torch.testing.assert_close(
                want["unit"][level], torch.ones(2, dtype=torch.float64), rtol=0.1, atol=0
            )
