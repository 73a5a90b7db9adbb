"""Generated code draws the fresh rows of a target that torch draws."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bfc.engine.compiled import cache
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import Trainer
from bfc.learners.mlp import MLP
from bfc.optimizers.sgd import SGD
from bfc.schedules import Phase, Schedule
from bfc.targets.inputs import Mixture
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.tasks.regression import Regression
from bfc.types import Training

DRAWN = {
    *("index", "leap", "low_rank", "quadratic_densenet", "quadratic_feature"),
    *("quadratic_of_quadratics", "random_polynomial"),
}
"""Targets whose rows generated code has to draw; those of others may be left to torch."""
REPLICAS = [0, 1, 2]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Nothing of another run is used."""
    monkeypatch.setattr(cache, "CACHE", tmp_path_factory.getbasetemp() / "compiled")


def recipe_of(target, dtype=torch.float64, batch=16):
    schedule = Schedule((Phase(("level*", "bias")),), steps=4, check_every=4)
    learner, optimizer = MLP(widths=(2,)), SGD(lr=1e-3, batch=batch)
    return Recipe(target, learner, schedule, optimizer, test=8, dtype=dtype, compile="always")


def last_batch(recipe):
    """The batch of the second step by generated code and by torch; None where torch draws it."""
    trainer = Trainer(recipe, [Training(0, seed) for seed in REPLICAS])
    stage, size = trainer.stages[0], recipe.optimizer.batch
    steps = trainer.working_copy(REPLICAS, stage)
    assert trainer.state.execution == "compiled"
    if steps.step.shapes.drawn is None:
        return None
    first = torch.tensor([5, 0, 7])
    steps.run(torch.zeros_like(first), first, 2)
    (x, y), *_ = trainer.data.batches(REPLICAS, size, first + 1, 1)
    batch = steps.batch.transpose(1, 2).flatten(0, 1)[: len(REPLICAS)]
    return batch[:, : x[0].numel()].view_as(x), batch[:, x[0].numel() :], x, y


def compare(recipe, tolerance):
    """Whether generated code draws the rows; they are then those of torch."""
    batch = last_batch(recipe)
    if batch is None:
        return False
    drawn_x, drawn_y, x, y = batch
    torch.testing.assert_close(drawn_x, x, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(drawn_y, y, rtol=tolerance, atol=10 * tolerance)
    return True


def test_rows_of_every_target_are_those_of_torch_or_left_to_it(build, node, target_name):
    small = {"d": 6} if "d" in node("target", target_name) else {}
    target = build("target", target_name, **small)
    if target.outputs > 1:
        pytest.skip("has no compiled form")
    is_drawn = compare(recipe_of(target), 1e-12)
    assert is_drawn or target_name not in DRAWN


@pytest.mark.parametrize("d", [1, 2, 7, 32])
def test_normal_rows_in_single_precision_agree_to_rounding(d):
    target = QuadraticDenseNet(d=d, L=2, widths=(1,))
    assert compare(recipe_of(target, torch.float32, batch=1500), 2e-6)


def test_label_noise_is_drawn_as_by_torch():
    assert compare(recipe_of(Regression(noise=0.5).wrap(QuadraticDenseNet(d=6))), 1e-12)


def test_what_has_no_form_in_lanes_is_drawn_by_torch():
    for target in (Parity(d=4), QuadraticDenseNet(d=6, law=Mixture())):
        assert last_batch(recipe_of(target)) is None


def test_the_code_of_rows_serves_other_coefficients_and_seeds():
    first = recipe_of(QuadraticDenseNet(d=6, L=3, alpha=(1.0, 0.5)))
    assert compare(first, 1e-12)
    assert compare(replace(first, target=QuadraticDenseNet(d=6, L=3, alpha=(1.0, 0.25))), 1e-12)
