"""The two-layer network against its formula, and its scaling: what neurons do at any width."""

from __future__ import annotations

import math

import pytest
import torch

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import Trainer
from bfc.errors import UserError
from bfc.learners.two_layer_network import TwoLayerNetwork
from bfc.optimizers.sgd import SGD
from bfc.targets.index import Index
from bfc.targets.leap import Leap
from bfc.types import Params, Training

PRESENT = frozenset({"level2", "bias"})


def test_it_is_the_function_of_its_formula_row_by_row():
    target, learner = Index(d=3), TwoLayerNetwork(width=5)
    draw = target.draw([7], torch.float64)
    params = learner.init_params(target, draw)
    p = {name: value[0] for name, value in params.items()}
    x = draw.inputs("train", torch.arange(6)[None])
    expected = []
    for row in x[0]:
        total = float(p["c"])
        for j in range(5):
            total += float(p["a"][j]) * max(float(row @ p["W"][:, j]) + float(p["b"][j]), 0.0)
        expected.append(total)
    outputs = learner.forward(params, x, PRESENT)[0]
    torch.testing.assert_close(outputs, torch.tensor(expected, dtype=torch.float64))


def test_initial_values_have_the_stated_sizes():
    target = Index(d=50)
    params = TwoLayerNetwork(width=800).init_params(target, target.draw([0, 1]))
    for name, mean_square in {"W": 1 / 50, "a": 1 / 800**2, "b": 1 / 3}.items():
        assert float(params[name].square().mean()) == pytest.approx(mean_square, rel=0.2), name
    assert float(params["b"].abs().max()) <= 1 and float(params["c"].abs().max()) == 0


def step(learner: TwoLayerNetwork, params: Params, x: torch.Tensor, y: torch.Tensor) -> Params:
    """Parameters after one step of gradient descent with the multipliers of the learner."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    loss = (learner.forward(leaves, x, PRESENT) - y).square().mean()
    slopes = torch.autograd.grad(loss, list(leaves.values()))
    rates = learner.rates(Index(d=x.shape[2]))
    moved = {}
    for (name, value), slope in zip(params.items(), slopes, strict=True):
        moved[name] = value - 0.2 * rates.get(name, 1.0) * slope
    return moved


def test_a_network_with_every_neuron_twice_stays_the_same_function():
    """Mean-field scaling: neurons move by the same amounts whatever their number."""
    target = Index(d=3)
    draw = target.draw([0], torch.float64)
    x = draw.inputs("train", torch.arange(40)[None])
    y = draw.labels(x)
    small, large = TwoLayerNetwork(width=6), TwoLayerNetwork(width=12)
    params = small.init_params(target, draw)
    twice = {name: torch.cat([value, value], -1) for name, value in params.items() if name != "c"}
    doubled = {**twice, "a": twice["a"] / 2, "c": params["c"]}
    for _ in range(3):
        params, doubled = step(small, params, x, y), step(large, doubled, x, y)
    outputs = [n.forward(p, x, PRESENT) for n, p in ((small, params), (large, doubled))]
    torch.testing.assert_close(*outputs)


def test_one_pass_over_fresh_samples_learns_a_short_staircase(build):
    """x_1, x_1x_2: far below what a network with a frozen first layer would reach."""
    recipe = Recipe(
        target=Leap(d=8, family=None, sets=((1,), (1, 2))),
        learner=TwoLayerNetwork(width=64),
        schedule=build("schedule", "all", steps=300, check_every=300, patience=None),
        optimizer=SGD(lr=0.2, batch=8, decay="constant", warmup=0, clip=None),
        probe=None,
        validation="none",
        validation_size=0.0,
        test=512,
        dtype=torch.float32,
    )
    stack = Trainer(recipe, [Training(0, 0), Training(0, 1)], None, None)
    risks = [record["risk"] for record in stack.run(None)]
    assert max(risks) < 0.1 and all(math.isfinite(risk) for risk in risks)


def test_a_network_without_one_of_its_layers_is_refused():
    with pytest.raises(UserError, match="no network without level2"):
        TwoLayerNetwork().check_present(Index(d=4), frozenset({"bias"}))
    with pytest.raises(UserError, match=r"learner\.width=0: must be an integer"):
        TwoLayerNetwork(width=0)
