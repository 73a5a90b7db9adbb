"""The lazy probe on networks that did not move, on a network by hand, and against width."""

from __future__ import annotations

import math

import pytest
import torch

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.learners.mlp import MLP
from bfc.learners.resnet import ResNet
from bfc.optimizers.sgd import SGD
from bfc.probes.lazy import Lazy, kernel_cosine, tangent_kernels
from bfc.schedules import load_schedule
from bfc.targets.hierarchy import Hierarchy
from bfc.targets.index import Index
from bfc.types import Progress, Training

PRESENT = frozenset({"bias", "level2", "level3"})
TARGET = Index(d=4)
LEARNER = MLP(widths=(6, 5), bias_sd=0.5)


def test_nothing_has_moved_at_the_start():
    draw = TARGET.draw([0, 3], torch.float64)
    values = Lazy(rows=64).measure(
        TARGET, draw, LEARNER, LEARNER.init_params(TARGET, draw), PRESENT
    )
    assert set(values) == {"movement/2", "movement/3", "flips/2", "flips/3", "lazy/kernel"}
    for name, value in values.items():
        expected = 1.0 if name == "lazy/kernel" else 0.0
        torch.testing.assert_close(value, torch.full((2,), expected, dtype=torch.float64))


def test_a_network_that_was_turned_over_has_moved_by_two_and_flipped_every_gate():
    """W_2 → −W_2 and no biases: every gate of level 2 that was open is closed."""
    learner = MLP(widths=(6, 5))
    draw = TARGET.draw([1], torch.float64)
    params = learner.init_params(TARGET, draw)
    params["W2"] = -params["W2"]
    values = Lazy(rows=64).measure(TARGET, draw, learner, params, PRESENT)
    assert float(values["movement/2"]) == pytest.approx(2)
    assert float(values["flips/2"]) == 1 and float(values["movement/3"]) == 0
    only_first = Lazy(rows=64).measure(TARGET, draw, learner, params, frozenset({"bias", "level2"}))
    assert bool(only_first["flips/3"].isnan())


@pytest.mark.parametrize("target", [TARGET, Hierarchy(L=2)], ids=["one output", "classes"])
def test_the_tangent_kernel_is_the_gram_matrix_of_the_gradients(target):
    draw = target.draw([0, 3], torch.float64)
    params = LEARNER.init_params(target, draw)
    x = draw.encode(draw.inputs("probe", torch.arange(5).expand(2, -1)))
    trained = ["W2", "b2", "a3", "bias"]
    kernels = tangent_kernels(lambda p, z: LEARNER.forward(p, z, PRESENT), params, trained, x)
    leaves = {name: p.clone().requires_grad_(name in trained) for name, p in params.items()}
    out = LEARNER.forward(leaves, x, PRESENT).reshape(2, 5, -1)
    for r in range(2):
        expected = torch.zeros(5, 5, dtype=torch.float64)
        for c in range(out.shape[2]):
            rows = []
            for i in range(5):
                inputs = [leaves[name] for name in trained]
                grads = torch.autograd.grad(out[r, i, c], inputs, retain_graph=True)
                rows.append(torch.cat([g[r].flatten() for g in grads]))
            gradients = torch.stack(rows)
            expected += gradients @ gradients.mT
        torch.testing.assert_close(kernels[r], expected)


def test_the_cosine_of_kernels():
    k = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
    other = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]], dtype=torch.float64)
    assert float(kernel_cosine(k, 3 * k)) == pytest.approx(1)
    assert float(kernel_cosine(k, other)) == pytest.approx(1 / math.sqrt(2))


def test_the_rate_is_that_of_the_log_loss_on_the_training_rows():
    """An output that is halved on labels of zero has a quarter of the loss."""
    learner = MLP(widths=(6,))
    target = Index(d=4)
    draw = target.draw([2], torch.float64)
    start = learner.init_params(target, draw)
    params = {**start, "a2": 0 * start["a2"]}
    present = frozenset({"bias", "level2"})
    x = draw.inputs("train", torch.arange(30).unsqueeze(0))
    y = draw.labels(x)
    before = (learner.forward(start, x, present) - y).square().mean()
    after = y.square().mean()
    progress = Progress(torch.tensor([30]), torch.tensor([10]))
    values = Lazy(rows=64).measure_training(target, draw, learner, params, present, progress)
    assert float(values["lazy/rate"]) == pytest.approx(float(before.log() - after.log()) / 10)
    unmoved = Progress(torch.tensor([30]), torch.tensor([0]))
    at_start = Lazy(rows=64).measure_training(target, draw, learner, start, present, unmoved)
    assert bool(at_start["lazy/rate"].isnan())


def test_wider_networks_are_lazier():
    """From width 16 to 512 in the tangent regime (SGD at a rate ~ 1/width): less of everything."""
    values = {}
    for width in (16, 512):
        recipe = Recipe(
            Index(d=6),
            MLP(widths=(width,), input_scale=1.0),
            load_schedule("joint", steps=300, patience=None),
            SGD(lr=0.05, batch=32),
            test=256,
            probe=Lazy(rows=256, kernel_rows=32),
        )
        (record,) = train(recipe, [Training(200, 0)])
        stage = record["stage"]
        values[width] = [
            record[f"{stage}/{name}"] for name in ("movement/2", "flips/2", "lazy/kernel")
        ]
    (moved, flips, cosine), (moved_wide, flips_wide, cosine_wide) = values[16], values[512]
    assert moved_wide < 0.5 * moved and flips_wide < 0.7 * flips and cosine < cosine_wide < 1


@pytest.mark.parametrize(
    ("learner", "words"),
    [
        (MLP(activation="quadratic"), "needs a network of ReLU units, whose gates it counts"),
        (ResNet(), "allowed: learner=mlp with learner.activation=relu"),
    ],
)
def test_networks_without_gates_are_refused(learner, words):
    with pytest.raises(UserError, match=words):
        Lazy().check(TARGET, learner)


def test_bad_values_are_refused():
    with pytest.raises(
        UserError, match=r"^probe\.kernel_rows=1: must be an integer from 2 to 1024"
    ):
        Lazy(kernel_rows=1)
