"""The two-layer quadratic network against its formula and against least squares on monomials."""

from __future__ import annotations

import math

import pytest
import torch

from bfc.baselines.monomials import products
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.learners.two_layer_quadratic import TwoLayerQuadratic
from bfc.optimizers.adam import Adam
from bfc.schedules import Phase, Schedule
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.types import Training

SCHEDULE = Schedule(
    phases=(Phase(train=("level{2..l}", "bias"), name="level{l}", each="level"),),
    steps=600,
    check_every=100,
)


def test_outputs_by_scalars():
    target, learner = QuadraticDenseNet(d=3), TwoLayerQuadratic(width=4)
    draw = target.draw([0, 1], torch.float64)
    params = {name: torch.randn_like(p) for name, p in learner.init_params(target, draw).items()}
    x = draw.inputs("train", torch.arange(7).expand(2, -1))
    out = learner.forward(params, x, frozenset(learner.groups(target)))
    for r in range(2):
        want = outputs({name: p[r].tolist() for name, p in params.items()}, x[r].tolist())
        assert out[r].tolist() == pytest.approx(want, rel=1e-9)
    constant = learner.forward(params, x, frozenset({"bias"}))
    assert torch.equal(constant, params["bias"].expand(-1, 7))


def outputs(params: dict[str, list], x: list[list[float]]) -> list[float]:
    """The formula of the class for one replica, scalar by scalar."""
    out = [params["bias"][0] + dot(params["v"], row) for row in x]
    for w, a in zip(params["W"], params["a"], strict=True):
        squares = [dot(w, row) ** 2 for row in x]
        for b, square in enumerate(squares):
            out[b] += a * (square - sum(squares) / len(squares))
    return out


def dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("L", [2, 3])
def test_it_learns_degree_2_and_ends_at_the_share_above(L):
    """On fresh data, the risk of least squares on all monomials of degree 2: none for a target of
    degree 2."""
    target = QuadraticDenseNet(d=5, L=L, widths=(2,) * (L - 1))
    optimizer = Adam(lr=0.02, batch=256, warmup=50)
    recipe = Recipe(target, TwoLayerQuadratic(width=16), SCHEDULE, optimizer, test=8192)
    records = train(recipe, [Training(0, seed) for seed in range(3)])
    draw = target.draw([0, 1, 2], torch.float64)
    x = draw.inputs("test", torch.arange(1 << 17).expand(3, -1))
    for r, record in enumerate(records):
        phi, y = products(x[r], 2, "hermite"), draw.labels(x)[r]
        residual = y - phi @ torch.linalg.lstsq(phi, y.unsqueeze(1)).solution.squeeze(1)
        floor = float(residual.square().mean() / draw.variance[r])
        assert (floor < 1e-20) == (L == 2)
        assert record["risk"] == pytest.approx(floor, abs=0.005 if L == 2 else 0.05)


@pytest.mark.parametrize(("field", "value"), [("width", 0), ("init", 0.0), ("init", math.inf)])
def test_bad_values_are_refused_in_one_sentence(field, value):
    with pytest.raises(UserError, match=rf"^learner\.{field}=.*: must be "):
        TwoLayerQuadratic(**{field: value})
