"""The mean-field network against its formulas; the batteries of test_learners.py hold too."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.learners.mean_field import MeanField
from bfc.targets.radial import Radial
from bfc.targets.radius_laws import sphere_constant
from bfc.targets.tent import Tent
from bfc.types import Training

SEEDS = (0, 5)


def rows(count: int, replicas: int = 2) -> torch.Tensor:
    return torch.arange(count).expand(replicas, -1)


@pytest.mark.parametrize("d", [2, 3, 10, 1000])
def test_sphere_constant(d):
    """E|u_1| / 2 of a uniform direction u, by quadrature of the law of u_1."""
    if d == 2:
        assert sphere_constant(2) == pytest.approx(1 / math.pi)
        return

    def weight(t: float) -> float:
        return (1 - t * t) ** ((d - 3) / 2)

    top = 1.0 if d < 100 else 12 / math.sqrt(d)
    mean = integrate.quad(lambda t: t * weight(t), 0, top)[0]
    want = mean / (2 * integrate.quad(weight, 0, top)[0])
    assert sphere_constant(d) == pytest.approx(want, rel=1e-8)
    assert sphere_constant(d) == pytest.approx(1 / math.sqrt(2 * math.pi * d), rel=1 / d)


@pytest.mark.parametrize("d", [2, 8, 64])
def test_a_spherical_first_layer_is_the_norm_up_to_its_fluctuation(d):
    """E F(x) = α‖x‖; over draws of the weights F/(α‖x‖) has the variance (1/(2 d C_d²) − 1)/m1."""
    learner, target, seeds = MeanField(m1=32, alpha=0.7), Radial(d=d), tuple(range(2000))
    draw = target.draw(seeds, torch.float64)
    params = learner.init_params(target, draw)
    scales = torch.full((2000,), 0.7, dtype=torch.float64)
    torch.testing.assert_close(learner.scale(params, d), scales)
    x = target.draw([0], torch.float64).inputs("test", rows(1, 1)).expand(2000, -1, -1)
    ratio = (learner.feature(params, x) / (0.7 * x.norm(dim=2))).squeeze(1)
    variance = (1 / (2 * d * sphere_constant(d) ** 2) - 1) / 32
    assert abs(float(ratio.mean()) - 1) < 4.5 * math.sqrt(variance / 2000)
    assert float(ratio.var()) == pytest.approx(variance, rel=4.5 * math.sqrt(2 / 2000) * 1.2)
    assert d < 64 or variance * 32 == pytest.approx(math.pi - 1, rel=0.05)


def plain(learner: MeanField, params: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The formulas of the class, one replica, in autograd's own operations."""
    w = params["w"]
    feature = (w.norm(dim=1) * (x @ w.T).relu()).mean(1)
    h = (feature[:, None] * params["w2"] + params["b2"]).relu()
    return (h * params["a"] if learner.signed else h).mean(1) - params["mean"]


@pytest.mark.parametrize("signed", [False, True])
def test_output_and_hand_written_gradients_equal_the_plain_formulas(signed):
    learner, target = MeanField(m1=20, m2=9, signed=signed, spread=0.5), Radial(d=6)
    draw = target.draw(SEEDS, torch.float64)
    params = {name: p.requires_grad_() for name, p in learner.init_params(target, draw).items()}
    x = draw.inputs("train", rows(30)).requires_grad_()
    weights = torch.randn(2, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    leaves = [x, *params.values()]
    out = learner.forward(params, x, frozenset())
    grads = torch.autograd.grad((weights * out).sum(), leaves)
    outputs = []
    for i in range(2):
        outputs.append(plain(learner, {name: p[i] for name, p in params.items()}, x[i]))
    want_out = torch.stack(outputs)
    want = torch.autograd.grad((weights * want_out).sum(), leaves)
    torch.testing.assert_close(out, want_out, rtol=1e-12, atol=1e-12)
    for gradient, plain_gradient in zip(grads, want, strict=True):
        torch.testing.assert_close(gradient, plain_gradient, rtol=1e-11, atol=1e-13)
    assert all(float(g.abs().max()) > 0 for g in grads)
    want_by_name = dict(zip(["x", *params], want, strict=True))
    with torch.no_grad():
        again, back = learner.vjp(params, x, frozenset(), frozenset({"w"}))
        # activations become signs in place, which must not change what another pass gives
        for _ in range(2):
            by_hand = back(weights)
            assert set(by_hand) == set(params) - {"mean"}
            for name, grad in by_hand.items():
                torch.testing.assert_close(grad, want_by_name[name], rtol=1e-11, atol=1e-13)
        assert "w" not in learner.vjp(params, x, frozenset(), frozenset({"w2"}))[1](weights)
    torch.testing.assert_close(again, out, rtol=1e-12, atol=1e-12)


def test_the_target_is_in_the_network_at_minus_one_over_alpha_and_one():
    learner, target = MeanField(m1=2048, m2=3), Radial(d=8)
    draw = target.draw(SEEDS, torch.float64)
    params = learner.init_params(target, draw)
    params["w2"] = torch.full_like(params["w2"], -1 / learner.alpha)
    params["b2"] = torch.ones_like(params["b2"])
    x = draw.inputs("test", rows(2000))
    torch.testing.assert_close(learner.top(params, learner.alpha * x.norm(dim=2)), draw.labels(x))
    difference = learner.forward(params, x, frozenset()) - draw.labels(x)
    risk = difference.square().mean(1) / draw.variance
    c_d = (1 / (2 * 8 * sphere_constant(8) ** 2) - 1) * inside(target) / target.moments[1]
    assert 0.3 * c_d / 2048 < float(risk.mean()) < 3 * c_d / 2048


def inside(target: Radial) -> float:
    """E[r²; r < 1]"""
    r, weights = target.radius_law.quadrature((1.0,))
    return float(weights @ np.where(r < 1, r * r, 0))


def test_rates_are_those_of_the_mean_field_limit():
    target = Radial(d=8)
    rates = MeanField(m1=64, m2=16, rho=0.5, signed=True).rates(target)
    assert rates == {"w": 0.5 * 64 / (4 * sphere_constant(8)), "w2": 16.0, "b2": 16.0, "a": 16.0}
    assert MeanField(rates_of="equal").rates(target) == {}


def test_projection_puts_parameters_back():
    learner = MeanField(m1=6, m2=5, signed=True, clip=0.4, alpha=2.0, kinks=9.0)
    target = Radial(d=5)
    draw = target.draw(SEEDS, torch.float64)
    params = learner.init_params(target, draw)
    before = {name: p.clone() for name, p in params.items()}
    learner.project(params)
    assert float(learner.scale(params, 5).max()) == pytest.approx(0.4)
    torch.testing.assert_close(
        torch.nn.functional.normalize(params["w"], dim=2),
        torch.nn.functional.normalize(before["w"], dim=2),
    )
    for name in ("w2", "b2", "a"):
        assert torch.equal(params[name], before[name].clamp(-0.4, 0.4))
    free = MeanField(m1=6, m2=5, clip=None)
    again = free.init_params(target, draw)
    copies = {name: p.clone() for name, p in again.items()}
    free.project(again)
    assert all(torch.equal(again[name], copies[name]) for name in copies)


def test_initial_values():
    target = Radial(d=7)
    draw = target.draw(range(50), torch.float64)
    params = MeanField(m1=40, m2=200, anisotropy=0.2).init_params(target, draw)
    round_ = MeanField(m1=40, m2=200).init_params(target, draw)
    torch.testing.assert_close(params["w"][:, :, :3], 0.2 * round_["w"][:, :, :3])
    assert torch.equal(params["w"][:, :, 3:], round_["w"][:, :, 3:])
    assert abs(float(params["b2"].mean()) - 0.1) < 5e-4
    assert float(params["w2"].std()) == pytest.approx(0.01, rel=0.05)
    signed = MeanField(m1=4, m2=200, signed=True).init_params(target, draw)
    kinks = (-signed["b2"] / signed["w2"]).flatten().numpy()
    assert stats.kstest(kinks, stats.uniform(0, 2).cdf).pvalue > 1e-4
    assert set(signed["w2"].unique().tolist()) == {-1.0, 1.0}


def test_it_learns_the_hinge_in_a_few_hundred_steps(build):
    """And with a first layer frozen at its draw it stays above the discretisation that training
    removes."""

    def risks(schedule: str) -> float:
        recipe = Recipe(
            Radial(d=8),
            MeanField(m1=128, m2=32),
            build("schedule", schedule, steps=300),
            build("optimizer", "sgd", lr=0.2, batch=128, clip=None, warmup=0),
            test=2048,
        )
        records = train(recipe, [Training(0, seed) for seed in range(4)])
        return float(np.median([record["risk"] for record in records]))

    joint, frozen = risks("joint"), risks("frozen_first")
    assert joint < 0.02 < frozen < 0.3


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"m1": 0}, "learner.m1=0"),
        ({"alpha": 0.0}, "learner.alpha=0.0"),
        ({"clip": 0.0}, "learner.clip=0.0"),
        ({"rho": -1.0}, "learner.rho=-1.0"),
        ({"spread": -1.0}, "learner.spread=-1.0"),
        ({"rates_of": "no"}, "learner.rates_of=no: must be mean_field or equal"),
    ],
)
def test_bad_learners_are_refused_in_one_sentence(build, changes, words):
    with pytest.raises(UserError) as caught:
        build("learner", "mean_field", **changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_target_that_is_not_radial_is_refused(build):
    with pytest.raises(UserError, match=r"learner=mean_field: .* needs a radial target, not Tent"):
        build("learner", "mean_field").check(Tent())
    with pytest.raises(UserError, match="learner=mean_field is no network without level3"):
        build("learner", "mean_field").check_present(Radial(d=4), frozenset({"level2", "bias"}))
