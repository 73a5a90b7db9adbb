"""The models around initialisation against the network they expand; the tangent kernel.

The kernel against Monte-Carlo, quadrature and finite width; the parity traps of the paper notes.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import roots_gegenbauer
from torch import Tensor

from bfc.baselines.kernels import Polynomial
from bfc.baselines.relu_power import ReLUPowerNTK
from bfc.errors import UserError
from bfc.learners.coupled_network import CoupledNetwork, signs
from bfc.learners.ntk_model import NTKModel
from bfc.learners.quadratic_taylor import QuadraticTaylor
from bfc.learners.taylor import derivative, norm24
from bfc.targets import harmonics
from bfc.targets.low_rank import LowRank

PRESENT = frozenset({"level2"})
TARGET = LowRank(d=6)


def setup(learner, seeds=(0, 1, 2), rows: int = 20) -> tuple[dict[str, Tensor], Tensor]:
    draw = TARGET.draw(seeds, torch.float64)
    x = draw.inputs("train", torch.arange(rows).expand(len(seeds), -1))
    return learner.init_params(TARGET, draw), x


@pytest.mark.parametrize("activation", ["square", "relu2", "relu3"])
def test_the_models_are_the_taylor_terms_of_the_network(activation):
    """f_{W⁰ + tSW} − f_{W⁰} = t f^L_{SW} + t² f^Q_W + O(t³): differences at t = 0."""
    network = CoupledNetwork(width=24, activation=activation)
    params, x = setup(network)
    moved = params["W"] * 10
    up = network.forward({**params, "W": 1e-4 * moved}, x, PRESENT)
    down = network.forward({**params, "W": -1e-4 * moved}, x, PRESENT)
    first, second = (up - down) / 2e-4, (up + down) / 1e-8
    signed = {**params, "W": params["s"].unsqueeze(2) * moved}
    linear = NTKModel(width=24, activation=activation).forward(signed, x, PRESENT)
    model = QuadraticTaylor(width=24, activation=activation)
    quadratic = model.forward({**params, "W": moved}, x, PRESENT)
    torch.testing.assert_close(first, linear, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(second / 2, quadratic, rtol=1e-4, atol=1e-4)
    assert float(quadratic.abs().max()) > 0.1


@pytest.mark.parametrize("activation, degree", [("square", 2), ("relu2", 2), ("relu3", 3)])
def test_derivatives_by_finite_differences(activation, degree):
    z = torch.tensor([-2.0, -0.7, -0.1, 0.3, 1.1, 2.5], dtype=torch.float64)
    for order in (0, 1):
        up, down = (derivative(activation, order, z + step) for step in (1e-6, -1e-6))
        slope = derivative(activation, order + 1, z)
        torch.testing.assert_close(slope, (up - down) / 2e-6, rtol=1e-6, atol=1e-6)
    tripled = derivative(activation, 0, 3 * z)
    torch.testing.assert_close(tripled, 3**degree * derivative(activation, 0, z))


@pytest.mark.parametrize("kind", [QuadraticTaylor, NTKModel, CoupledNetwork])
@pytest.mark.parametrize("activation", ["square", "relu2", "relu3"])
def test_the_training_gradient_by_finite_differences(kind, activation):
    """Of the squared loss and λ ‖W‖_{2,4}⁴ together, in W, as the engine trains it."""
    learner = kind(width=4, activation=activation, init=0.5, decay=0.1)
    params, x = setup(learner, (0, 1), 7)
    y = TARGET.draw((0, 1), torch.float64).labels(x)

    def loss(w: Tensor) -> Tensor:
        changed = {**params, "W": w}
        squared = (learner.forward(changed, x, PRESENT) - y).square().mean(1)
        return squared + learner.penalty(changed, PRESENT, {})

    assert torch.autograd.gradcheck(loss, params["W"].requires_grad_(), eps=1e-6, atol=1e-6)


def test_without_gates_the_model_is_its_matrix():
    learner = QuadraticTaylor(width=10, init=1.0)
    params, x = setup(learner)
    m = learner.matrix(params)
    torch.testing.assert_close(
        learner.forward(params, x, PRESENT), torch.einsum("rbi,rij,rbj->rb", x, m, x)
    )
    by_hand = torch.stack([(w.norm(dim=1) ** 4).sum() for w in params["W"]])
    torch.testing.assert_close(norm24(params["W"]), by_hand)
    torch.testing.assert_close(learner.penalty(params, PRESENT, {}), 0.001 * by_hand)
    assert QuadraticTaylor(decay=0.0).penalty(params, PRESENT, {}) is None


def test_signs_are_balanced_and_independent():
    draw = TARGET.draw((0, 1))
    s = signs(draw, 20_000, 0)
    assert set(s.unique().tolist()) == {-1.0, 1.0}
    assert float(s.mean(1).abs().max()) < 5 / 20_000**0.5
    assert not torch.equal(s[0], s[1]) and not torch.equal(s, signs(draw, 20_000, 1))
    assert torch.equal(s[1:], signs(draw.select([1]), 20_000, 0))
    a = setup(QuadraticTaylor(width=6))[0]["a"]
    assert a.tolist() == [[1, 1, 1, -1, -1, -1]] * 3


def test_an_indicator_gate_has_no_degree_4():
    """The even part of 1{w⁰·x ≥ 0}(w·x)² is (w·x)²/2: parity trap of the paper notes. With ReLU
    gates it is not."""
    for activation, quadratic in (("relu2", True), ("relu3", False)):
        learner = QuadraticTaylor(width=40, activation=activation, init=1.0)
        params, x = setup(learner)
        even = (learner.forward(params, x, PRESENT) + learner.forward(params, -x, PRESENT)) / 2
        form = QuadraticTaylor(width=40).matrix(params) / 2
        assert torch.allclose(even, torch.einsum("rbi,rij,rbj->rb", x, form, x)) == quadratic


# ---- the kernel --------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [1, 2, 3])
def test_the_kernel_is_the_mean_over_finite_networks(power):
    """E φ'(w·h) φ'(w·h') over 2^20 draws of w, in standard errors; φ' = ReLU^{p−1}/(p−1)!."""
    generator = torch.Generator().manual_seed(power)
    x = torch.randn(5, 4, dtype=torch.float64, generator=generator)
    w = torch.randn(1 << 20, 4, dtype=torch.float64, generator=generator)
    z = x @ w.T
    slope = (z > 0).double() if power == 1 else z.relu() ** (power - 1)
    products = slope.unsqueeze(1) * slope.unsqueeze(0)
    scale = {1: 0.5, 2: 0.5, 3: 1.5}[power] * 4**power
    inner = x @ x.T / scale
    error = inner.abs() * products.std(2) / (1 << 10)
    gram = ReLUPowerNTK(power=power).gram(x, x)
    difference = (gram - inner * products.mean(2)).abs()
    assert bool((difference < 4.5 * error + 1e-12).all())
    assert float((error / gram.abs()).max()) < 0.05


def test_the_finite_model_approaches_the_kernel():
    """Inner products of the gradient features of the NTK model at m = 2^17, over the scale."""
    learner = NTKModel(width=1 << 17)
    params, x = setup(learner, (0,), 8)
    slopes = derivative("relu3", 1, x[0] @ params["W0"][0].T)
    features = (slopes.unsqueeze(2) * x[0].unsqueeze(1)).flatten(1) / learner.width**0.5
    empirical = features @ features.T / (0.375 * TARGET.d)
    assert float((empirical - ReLUPowerNTK().gram(x[0], x[0])).abs().max()) < 0.05


@pytest.mark.parametrize(
    "power, degree, present",
    [
        (1, 4, True),
        (1, 3, False),
        (2, 4, False),
        (2, 2, True),
        (2, 3, True),
        (3, 4, True),
        (3, 3, True),
        (3, 5, False),
        (3, 1, True),
        (2, 1, True),
    ],
)
def test_which_degrees_the_kernel_sees(power, degree, present):
    """Parity: on the sphere the eigenvalue of degree k is the Gegenbauer coefficient of u ↦ K;
    ReLU²/2 has none of degree 4."""
    d = 8
    u, w = roots_gegenbauer(4000, (d - 2) / 2)
    e = torch.eye(d, dtype=torch.float64)[:1] * d**0.5
    x = torch.zeros(4000, d, dtype=torch.float64)
    x[:, 0], x[:, 1] = torch.tensor(u), torch.tensor(np.sqrt(1 - u**2))
    k = ReLUPowerNTK(power=power).gram(x * d**0.5, e)[:, 0].numpy()
    coefficients = [0.0] * degree + [1.0]
    h = harmonics.evaluate("sphere", d, coefficients, torch.tensor(u * math.sqrt(d))).numpy()
    value = (w / w.sum()) @ (k * h)
    assert (value > 1e-4) == present and (present or abs(value) < 1e-8)


@pytest.mark.parametrize(
    "power, label",
    [(1, "NTK of ReLU (two layers, no bias)"), (3, "NTK of ReLU^3 (two layers, no bias)")],
)
def test_labels(power, label):
    assert ReLUPowerNTK(power=power).label == label
    assert Polynomial(degree=2, offset=0).label == "polynomial kernel (degree 2, offset 0)"


@pytest.mark.parametrize(
    "kind, name, changes, words",
    [
        ("baseline", "relu_power_ntk", {"power": 4}, "baseline.power=4: must be 1, 2 or 3"),
        ("learner", "quadratic_taylor", {"width": 3}, "learner.width=3: must be an even integer"),
        (
            "learner",
            "quadratic_taylor",
            {"init": 0.0},
            "learner.init=0.0: must be a number > 0 and < 1000 (0 is a saddle)",
        ),
        ("learner", "ntk_model", {"decay": -1.0}, "learner.decay=-1.0"),
        (
            "learner",
            "coupled_network",
            {"activation": "gelu"},
            "learner.activation=gelu: must be square, relu2 or relu3",
        ),
    ],
)
def test_bad_values_are_refused_in_one_sentence(build, kind, name, changes, words):
    with pytest.raises(UserError) as caught:
        build(kind, name, **changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)
