"""Fresh rows by generated code, and how they are compared with those of torch."""

from __future__ import annotations

import torch

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import Trainer
from bfc.learners.mlp import MLP
from bfc.optimizers.sgd import SGD
from bfc.schedules import Phase, Schedule
from bfc.types import Training

DRAWN = {
    *("index", "leap", "low_rank", "quadratic_densenet", "quadratic_feature"),
    *("quadratic_of_quadratics", "random_polynomial"),
}
"""Targets whose rows generated code has to draw; those of others may be left to torch."""
REPLICAS = [0, 1, 2]


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


def compare_rows(recipe, tolerance):
    """Whether generated code draws the rows; they are then those of torch."""
    batch = last_batch(recipe)
    if batch is None:
        return False
    drawn_x, drawn_y, x, y = batch
    torch.testing.assert_close(drawn_x, x, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(drawn_y, y, rtol=tolerance, atol=10 * tolerance)
    return True
