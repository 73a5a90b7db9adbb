"""The convex oracle against training and against its own optimality conditions, the layer-wise
three-layer network by hand, and the probe of the movement."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bfc import random
from bfc.baselines.kernels import Polynomial
from bfc.baselines.nuclear_norm import NuclearNorm, _gap, _shrink, forms, objective, solve
from bfc.baselines.three_layer import ThreeLayer
from bfc.errors import UserError
from bfc.learners.coupled_network import CoupledNetwork, signs
from bfc.learners.ntk_model import NTKModel
from bfc.learners.quadratic_taylor import QuadraticTaylor
from bfc.learners.taylor import norm24
from bfc.probes.movement import Movement
from bfc.representations.degree2 import Degree2
from bfc.targets.low_rank import LowRank
from bfc.targets.quadratic_feature import QuadraticFeature
from bfc.types import sample

PRESENT = frozenset({"level2"})


def data(target, seed: int, n: int, role: str = "train") -> tuple[torch.Tensor, torch.Tensor]:
    x, y = sample(target.draw([seed], torch.float64), role, torch.arange(n).unsqueeze(0))
    return x[0], y[0]


@pytest.fixture(scope="module")
def problem() -> tuple[torch.Tensor, torch.Tensor]:
    return data(Degree2().wrap(LowRank(d=4)), 1, 60)


@pytest.mark.parametrize("decay", [1e-3, 1e-2])
def test_factorised_training_finds_the_convex_solution(decay, problem):
    """Objective to 1e-5, matrix to 1 %, and ‖W‖_{2,4}⁴ = 4 (‖M‖_*² + (tr M)²).

    That is the equivalence, trace term included.
    """
    x, y = problem
    best = solve(x, y, decay, 4000, 1e-8)
    target, learner = Degree2().wrap(LowRank(d=4)), QuadraticTaylor(width=32, decay=decay)
    params = learner.init_params(target, target.draw([1], torch.float64))
    w = params["W"].requires_grad_()
    optimizer = torch.optim.Adam([w], lr=0.02, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2500)
    for _ in range(2500):
        optimizer.zero_grad()
        loss = (
            learner.forward(params, x.unsqueeze(0), PRESENT)[0] - y
        ).square().mean() + learner.penalty(params, PRESENT, {})[0]
        loss.backward()
        optimizer.step()
        schedule.step()
    params = {name: p.detach() for name, p in params.items()}
    trained = learner.matrix(params)[0]
    assert float(loss.detach()) == pytest.approx(objective(x, y, best, decay), rel=1e-5)
    assert float((trained - best).norm() / best.norm()) < 0.01
    measured = Movement(rows=64).measure(
        target, target.draw([1], torch.float64), learner, params, PRESENT
    )
    assert (
        float(measured["norm/ratio"]) == pytest.approx(1, abs=1e-3)
        and 1 <= float(measured["norm/nuclear"]) < 1.05
    )
    convex = 4 * float(torch.linalg.eigvalsh(best).abs().sum() ** 2 + best.trace() ** 2)
    assert float(norm24(w.detach())[0]) == pytest.approx(convex, rel=1e-3)


def test_the_solution_is_optimal(problem):
    """The stated duality gap bounds the distance from the optimum.

    No perturbation does better by more, and the gap of a looser solution is larger.
    """
    x, y = problem
    m = solve(x, y, 1e-3, 4000, 1e-7)
    gap = _gap(x, y, m, 1e-3) * float(y.square().mean())
    assert 0 <= gap < 1e-6
    generator = torch.Generator().manual_seed(0)
    for size in (1e-3, 1e-2, 0.1):
        for _ in range(20):
            e = torch.randn(m.shape, dtype=m.dtype, generator=generator)
            assert objective(x, y, m + size * (e + e.mT), 1e-3) >= objective(x, y, m, 1e-3) - gap
    loose = solve(x, y, 1e-3, 5, 1e-7)
    assert (
        _gap(x, y, loose, 1e-3) * float(y.square().mean())
        >= objective(x, y, loose, 1e-3) - objective(x, y, m, 1e-3)
        > 1e-4
    )


def shrinkage_objective(z: torch.Tensor, m: torch.Tensor, strength: float) -> float:
    nuclear = float(torch.linalg.eigvalsh(z).abs().sum())
    return 0.5 * float((z - m).square().sum()) + strength * nuclear**2


def test_shrinkage_minimises_its_objective():
    m = torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    m = m + m.mT
    for strength in (0.01, 0.3, 5.0):
        z = _shrink(m, strength)
        smallest = shrinkage_objective(z, m, strength)
        values, vectors = torch.linalg.eigh(m)
        shrunk = torch.linalg.eigvalsh(z)
        theta = 2 * strength * float(shrunk.abs().sum())
        torch.testing.assert_close(
            z, (vectors * (values.sign() * (values.abs() - theta).clamp(min=0))) @ vectors.mT
        )
        generator = torch.Generator().manual_seed(2)
        for _ in range(20):
            e = 0.01 * torch.randn(6, 6, dtype=torch.float64, generator=generator)
            assert shrinkage_objective(z + e + e.mT, m, strength) >= smallest


def test_the_oracle_learns_where_forms_do():
    """A form of rank 2 from 60 samples, with 78 parameters; the grid begins at n_min."""
    target = QuadraticFeature(d=12, alpha=(1.0,), rank=2)
    baseline = NuclearNorm(n_min=50, n_max=60, n_ratio=1.2)
    assert baseline.grid[0] >= 50 and baseline.grid[-1] == 60
    curve = baseline.curve(target, 0, 2000, {"regularisation": 1e-4})
    assert curve.n == baseline.grid and curve.risk[-1] < 0.1
    kernel = Polynomial(degree=2, offset=0.0, n_max=60)
    assert kernel.curve(target, 0, 2000, {"ridge": 1e-4}).risk[-1] > 2 * curve.risk[-1]
    x, y = data(target, 0, 60)
    t, _ = data(target, 0, 500, "test")
    torch.testing.assert_close(baseline.predict(x, y, t, [1e-3])[0], forms(t, solve(x, y, 1e-3)))


@pytest.mark.parametrize("stage", ["one_step", "least_squares"])
def test_layer_wise_training_by_hand(stage):
    target = Degree2().wrap(QuadraticFeature(d=6))
    x, y = data(target, 0, 400)
    t, f = data(target, 0, 1000, "test")
    baseline = ThreeLayer(stage_one=stage, units=30)
    predictions = baseline.predict(x, y, t, [1e-4, 1e-2])
    h, first = x.numpy(), 280
    w = (
        h[:first].T @ y.numpy()[:first] / first
        if stage == "one_step"
        else np.linalg.lstsq(h[:first], y.numpy()[:first], rcond=None)[0]
    )
    z = h @ w
    centre, size = z[first:].mean(), z[first:].std()
    knots = random.normal([0], "baseline/three_layer", (30,), torch.float64)[0].numpy()

    def relu(z: np.ndarray) -> np.ndarray:
        return np.maximum(np.outer((z - centre) / size, np.tile([1.0, -1.0], 15)) - knots, 0)

    phi = relu(z[first:])
    middle, mean = phi.mean(0), y.numpy()[first:].mean()
    phi = phi - middle
    for row, strength in zip(predictions, (1e-4, 1e-2), strict=True):
        gram = phi.T @ phi + strength * (phi**2).mean() * len(phi) * np.eye(30)
        c = np.linalg.solve(gram, phi.T @ (y.numpy()[first:] - mean))
        np.testing.assert_allclose(
            row.numpy(), (relu(t.numpy() @ w) - middle) @ c + mean, rtol=1e-7, atol=1e-8
        )
    assert float((predictions[0] - f).square().mean()) < 1.2


def test_layer_wise_training_learns_a_function_of_one_feature():
    target = Degree2().wrap(QuadraticFeature(d=8))
    for stage, largest_risk in (("one_step", 0.4), ("least_squares", 0.2)):
        curve = ThreeLayer(stage_one=stage, n_max=1500, n_ratio=10.0).curve(
            target, 3, 2000, {"regularisation": 1e-2}
        )
        assert curve.risk[-1] < largest_risk < curve.risk[0]


@pytest.mark.parametrize("activation", ["relu2", "relu3"])
def test_the_coupling_is_measured_as_defined(activation):
    """Against the learners themselves, with their own sign draw."""
    target = LowRank(d=5)
    draw = target.draw([0, 1], torch.float64)
    learner = QuadraticTaylor(width=64, activation=activation)
    params = {
        name: 4 * p if name == "W" else p for name, p in learner.init_params(target, draw).items()
    }
    measured = Movement(rows=200, draws=1).measure(target, draw, learner, params, PRESENT)
    x = draw.inputs("probe", torch.arange(200).expand(2, -1))
    s = signs(draw, 64, 0).double()
    network = CoupledNetwork(width=64, activation=activation).forward(
        {**params, "s": s}, x, PRESENT
    )
    linear = NTKModel(width=64, activation=activation).forward(
        {**params, "W": params["W"] * s.unsqueeze(2)}, x, PRESENT
    )
    torch.testing.assert_close(measured["coupling/linear"], linear.square().mean(1).sqrt())
    torch.testing.assert_close(
        measured["coupling/rest"],
        (network - learner.forward(params, x, PRESENT)).square().mean(1).sqrt(),
    )


def test_the_linear_term_cancels_as_the_width_grows():
    """At fixed ‖W‖_{2,4} it falls as m^{-1/4}."""
    target, sizes = LowRank(d=5), []
    draw = target.draw(range(4), torch.float64)
    for width in (64, 512, 4096):
        learner = QuadraticTaylor(width=width, activation="relu3", init=0.3 * width**-0.25)
        measured = Movement(rows=256, draws=4).measure(
            target, draw, learner, learner.init_params(target, draw), PRESENT
        )
        sizes.append(float(measured["coupling/linear"].square().mean().sqrt()))
    slope = np.polyfit(np.log([64, 512, 4096]), np.log(sizes), 1)[0]
    assert -0.28 < slope < -0.22, sizes


@pytest.mark.parametrize(
    "group, name, changes, words",
    [
        ("baseline", "nuclear_norm", {"n_min": 1}, "baseline.n_min=1: must be an integer from 2"),
        ("baseline", "nuclear_norm", {"tolerance": 0.0}, "baseline.tolerance=0.0"),
        ("baseline", "nuclear_norm", {"iterations": 0}, "baseline.iterations=0"),
        ("baseline", "three_layer", {"share": 1.0}, "baseline.share=1.0"),
        ("baseline", "three_layer", {"stage_one": "two"}, "one_step or"),
        ("baseline", "three_layer", {"units": 0}, "baseline.units=0"),
        ("probe", "movement", {"rows": 10}, "probe.rows=10"),
        ("probe", "movement", {"draws": 0}, "probe.draws=0: must be an integer from 1 to 1024"),
    ],
)
def test_bad_values_cost_one_sentence(build, group, name, changes, words):
    with pytest.raises(UserError) as caught:
        build(group, name, **changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_misfits_cost_one_sentence():
    with pytest.raises(UserError, match="baseline=nuclear_norm, whose unknown is a square matrix"):
        NuclearNorm().check(Degree2().wrap(LowRank(d=100)))
    with pytest.raises(
        UserError, match="probe=movement: needs learner=quadratic_taylor, not NTKModel"
    ):
        Movement().check(LowRank(d=4), NTKModel())
