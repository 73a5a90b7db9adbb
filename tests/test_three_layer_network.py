"""The three-layer network against its formula, and the layer-wise procedure phase by phase."""

from __future__ import annotations

import math

import pytest
import torch

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import Trainer
from bfc.errors import UserError
from bfc.learners.three_layer_network import ThreeLayerNetwork
from bfc.optimizers.sgd import SGD
from bfc.probes.planted_overlap import PlantedOverlap
from bfc.targets.index import Index
from bfc.targets.sight import Sight
from bfc.types import Training

PRESENT = frozenset({"level2", "level3", "output", "bias"})


def test_it_is_the_function_of_its_formula_row_by_row():
    target, learner = Index(d=3), ThreeLayerNetwork(width=5, upper_width=4)
    draw = target.draw([7], torch.float64)
    p = {name: value[0] for name, value in learner.init_params(target, draw).items()}
    x = draw.inputs("train", torch.arange(6)[None])[0]
    expected = []
    for row in x:
        first = [max(float(row @ p["W1"][:, i]) + float(p["b1"][i]), 0.0) for i in range(5)]
        total = float(p["c"])
        for j in range(4):
            z = sum(first[i] * float(p["W2"][i, j]) for i in range(5)) + float(p["b2"][j])
            total += float(p["w3"][j]) * max(z, 0.0)
        expected.append(total)
    stacked = {name: value.unsqueeze(0) for name, value in p.items()}
    outputs = learner.forward(stacked, x[None], PRESENT)[0]
    torch.testing.assert_close(outputs, torch.tensor(expected, dtype=torch.float64))


def test_initial_values_have_the_stated_sizes():
    target, learner = Index(d=50), ThreeLayerNetwork(width=400, upper_width=200)
    params = learner.init_params(target, target.draw([0, 1]))
    sizes = {"W1": 1 / 50, "W2": 0.04 / 400, "w3": 0.04 / 200, "b1": 1 / 3, "b2": 0.04 / 3}
    for name, mean_square in sizes.items():
        measured = float(params[name].square().mean())
        assert measured == pytest.approx(mean_square, rel=0.2), name
    assert float(params["b1"].abs().max()) <= 1 and float(params["b2"].abs().max()) <= 0.2
    assert float(params["c"].abs().max()) == 0


def test_rates_are_those_of_the_procedure():
    rates = ThreeLayerNetwork(width=400, upper_width=64).rates(Index(d=5))
    assert rates["W1"] == pytest.approx(math.sqrt(400) / 0.04)
    assert rates["W2"] == pytest.approx(4 * 8 / (0.2 * 400))
    assert rates["w3"] == pytest.approx(1 / 64)


def recipe(build, target, steps: int, lr: float) -> Recipe:
    return Recipe(
        target=target,
        learner=ThreeLayerNetwork(width=64, upper_width=32),
        schedule=build("schedule", "sight", steps=steps, check_every=10),
        optimizer=SGD(lr=lr, batch=64, decay="constant", warmup=0, clip=None),
        probe=PlantedOverlap(),
        validation="none",
        validation_size=0.0,
        test=512,
        dtype=torch.float64,
    )


def test_every_phase_trains_its_layer_alone(build):
    stack = Trainer(
        recipe(build, Index(d=4), 10, 0.01), [Training(64, 0), Training(48, 1)], None, None
    )
    names = {"level2": {"W1"}, "level3": {"W2"}, "output": {"w3", "c"}}
    for stage in stack.stages:
        before = {name: p.clone() for name, p in stack.state.params.items()}
        stack.train_chunk([0, 1], stage, 3)
        changed = {n for n, p in stack.state.params.items() if not torch.equal(p, before[n])}
        assert changed == names[stage.name]


def test_the_procedure_finds_the_directions_and_then_the_function(build):
    """SIGHT with two directions: the first phase finds them, the others learn the function."""
    stack = Trainer(recipe(build, Sight(d=4), 100, 0.1), [Training(1000, 0)], None, None)
    [record] = stack.run(None)
    assert record["level2/overlap/subspace"] > 0.9
    assert record["output/risk"] < record["level3/risk"] < record["level2/risk"]
    assert record["risk"] < 0.4


def test_a_network_without_one_of_its_layers_is_refused():
    with pytest.raises(UserError, match="no network without output"):
        ThreeLayerNetwork().check_present(Index(d=4), PRESENT - {"output"})
    with pytest.raises(UserError, match=r"learner\.width=0: must be an integer"):
        ThreeLayerNetwork(width=0)
