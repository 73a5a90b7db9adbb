"""Unit-wise capacity against the authors' formula on two units, and the probe on trained MLPs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.learners.mlp import MLP
from bfc.optimizers.adam import Adam
from bfc.probes.capacity import Capacity, TwoLayerWeights, as_two_layer, training_margins
from bfc.schedules import load_schedule
from bfc.targets.hierarchy import Hierarchy
from bfc.targets.index import Index
from bfc.targets.parity import Parity
from bfc.tasks.classification import Classification
from bfc.types import Progress, Training

PRESENT = frozenset({"bias", "level2"})


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def authors_bound(u, u0, v, x, margin) -> float:
    """b/n as the code of arXiv:1805.12076 computes it ("our bound"), unit by unit and row by row.

    ``u`` (2, D), ``v`` (2, C), ``x`` (n, D), in numpy.
    """
    n, classes = len(x), v.shape[1]
    layer_norm = sum(np.mean([max(0.0, row @ u0[i]) ** 2 for row in x]) for i in range(2))
    data = np.mean([row @ row for row in x])
    distance = math.sqrt(sum(np.sum((u[i] - u0[i]) ** 2) for i in range(2)))
    frobenius = math.sqrt(np.sum(v**2))
    r = (
        3
        * math.sqrt(2)
        * (math.sqrt(2 * classes) + 1)
        * (frobenius + 1)
        * (math.sqrt(layer_norm) + distance * math.sqrt(data) + 1)
        / margin
    )
    log_term = math.log(max(1, margin * math.sqrt(n)) / 0.01)
    return (r + 3 * math.sqrt(5 * 2 + log_term)) ** 2 / n


@pytest.mark.parametrize("margin", [0.01, 0.7])
def test_the_bound_of_two_units_is_that_of_the_authors(margin):
    u, u0, v, x = gaussian(2, 3), gaussian(2, 3, seed=1), gaussian(2, 4, seed=2), gaussian(30, 3)
    network = TwoLayerWeights(u, u0, v)
    expected = authors_bound(u.numpy(), u0.numpy(), v.numpy(), x.numpy(), margin)
    assert network.bound(x, margin) ** 2 == pytest.approx(expected)
    assert network.moved.tolist() == pytest.approx((u - u0).norm(dim=1).tolist())


def test_biases_and_one_output_become_a_network_of_scores():
    learner, target = MLP(widths=(5,), bias_sd=1.0), Classification().wrap(Index(d=3))
    draw = target.draw([0], torch.float64)
    params = learner.init_params(target, draw)
    params["bias"] += 0.3
    network = as_two_layer(params, learner.init_params(target, draw))
    x = gaussian(20, 3)
    scores = torch.cat([x, torch.ones(20, 1)], 1) @ network.u.mT
    scores = scores.relu() @ network.v
    out = learner.forward(params, x.unsqueeze(0), PRESENT)[0]
    torch.testing.assert_close(scores[:, 1] - scores[:, 0], out)
    assert network.v.shape == (6, 2) and float(network.moved.max()) == 0


def test_margins_are_the_score_of_the_class_minus_the_best_other():
    scores = torch.tensor([[[1.0, 3.0, 2.0], [0.0, -1.0, 5.0]]])
    assert training_margins(scores, torch.tensor([[1, 0]])).tolist() == [[1.0, -5.0]]
    signs = training_margins(torch.tensor([[2.0, -3.0]]), torch.tensor([[-1.0, -1.0]]))
    assert signs.tolist() == [[-2.0, 3.0]]


def test_the_margin_is_a_quantile_over_the_rows_that_were_trained_on():
    """γ by torch.nn on the first n rows; a replica with fresh rows has none."""
    learner, target = MLP(widths=(4,), bias_sd=0.5), Hierarchy(L=2)
    draw = target.draw([2, 2], torch.float64)
    params = learner.init_params(target, draw)
    progress = Progress(torch.tensor([40, 0]), torch.tensor([10, 10]))
    values = Capacity().measure_training(target, draw, learner, params, PRESENT, progress)
    assert float(values["capacity/beta"][0]) == 0
    assert bool(values["capacity/margin"][1].isnan()) and not bool(
        values["capacity/alpha"].isnan().any()
    )
    first, second = nn.Linear(16, 4).double(), nn.Linear(4, 4).double()
    first.weight.data, first.bias.data = params["W2"][0].mT, params["b2"][0]
    second.weight.data, second.bias.data = params["a2"][0].mT, params["bias"][0]
    inputs = draw.inputs("train", torch.arange(40).expand(2, -1))
    out = second(first(draw.encode(inputs)[0]).relu()).detach().numpy()
    label = draw.labels(inputs)[0].long().tolist()
    margins = [row[y] - max(np.delete(row, y)) for row, y in zip(out, label, strict=True)]
    assert float(values["capacity/margin"][0]) == pytest.approx(np.quantile(margins, 0.05))
    assert bool(values["capacity/bound"][0].isnan()), "nothing is fitted at the start"


def test_units_of_wider_networks_move_less_and_the_bound_is_vacuous():
    """Mean β falls with the width, as the paper says; √(b/n) is far above 1."""
    target = Classification(margin=0.0).wrap(Index(d=8, link="he1"))
    values = {}
    for width in (8, 64):
        recipe = Recipe(
            target,
            MLP(widths=(width,)),
            load_schedule("joint", steps=500, patience=None),
            Adam(lr=0.01, batch=64),
            test=1024,
            probe=Capacity(),
        )
        (record,) = train(recipe, [Training(500, 0)])
        values[width] = {
            name: record[f"{record['stage']}/capacity/{name}"] for name in ("beta", "bound")
        }
    assert values[64]["beta"] < 0.8 * values[8]["beta"]
    assert values[8]["bound"] > 10


@pytest.mark.parametrize(
    ("target", "learner", "words"),
    [
        (
            Index(d=4),
            MLP(widths=(8,)),
            "needs labels that are classes; allowed: task=classification",
        ),
        (Hierarchy(), MLP(widths=(8, 8)), "needs learner=mlp with one hidden layer of ReLU units"),
        (Hierarchy(), MLP(activation="quadratic"), "one hidden layer of ReLU units"),
        (Parity(d=4), MLP(), "needs labels that are classes"),
    ],
)
def test_what_has_no_bound_is_refused(target, learner, words):
    with pytest.raises(UserError, match=words):
        Capacity().check(target, learner)
