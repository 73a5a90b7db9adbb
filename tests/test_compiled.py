"""Generated code takes the steps that the plain path takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from plain_loop import LAYERWISE, RECIPE, STAGED, TRAININGS, fused, same_params, same_record
from test_engine import PENALISED, SCENARIOS, UNTIL, Optional

from bfc.engine.compiled.choice import compiled_steps
from bfc.engine.state import State
from bfc.engine.trainer import Trainer, train
from bfc.learners.mlp import MLP
from bfc.optimizers.adam import Adam
from bfc.optimizers.sgd import SGD
from bfc.targets.parity import Parity
from bfc.tasks.classification import Classification
from bfc.types import Training

pytest.importorskip("llvmlite")
NOT_COMPILED = {
    "conv_resnet": "cannot be traced",
    ("resnet", "images"): "class numbers",
}
"""Learner, or learner and target → part of the reason why it is not compiled."""


def compare(recipe, trainings=TRAININGS, tolerance=1e-9, **options):
    """Train by generated code and by the plain path; records and parameters agree."""
    compiled = replace(recipe, compile="always")
    records, state = fused(compiled, trainings, **options)
    assert state.execution == "compiled"
    expected, plain = fused(recipe, trainings, **options)
    assert plain.execution == "plain"
    for actual, want in zip(records, expected, strict=True):
        same_record(actual, want, tolerance)
    same_params(state.params, plain.params, tolerance)
    return records


def test_every_learner_schedule_and_optimizer_equals_the_plain_path(
    build, node, learner_target_schedule, optimizer_name
):
    learner, target, schedule = learner_target_schedule
    small = {"d": 6} if "d" in node("target", target) else {}
    recipe = replace(
        RECIPE,
        learner=build("learner", learner),
        target=build("target", target, **small),
        schedule=build("schedule", schedule, steps=8, check_every=5),
        optimizer=build("optimizer", optimizer_name, batch=16, warmup=3),
    )
    reason = NOT_COMPILED.get(learner) or NOT_COMPILED.get((learner, target))
    if reason is not None:
        pytest.skip(f"not compiled: {reason}")
    total = recipe.total_steps()
    if total > 50:
        recipe = replace(recipe, schedule=replace(recipe.schedule, steps=max(2, 8 * 48 // total)))
    compare(recipe)


@pytest.mark.parametrize("loss", ["logistic", "hinge", "squared"])
def test_every_loss_equals_the_plain_path(loss):
    target = Classification(loss=loss, margin=0.0).wrap(Parity(d=6, law="gaussian"))
    compare(replace(RECIPE, target=target, learner=MLP(widths=(5, 4)), schedule=LAYERWISE))


@pytest.mark.parametrize(
    "schedule", [STAGED, PENALISED, UNTIL], ids=["staged", "penalised", "until"]
)
def test_the_optional_parts_of_a_learner_equal_the_plain_path(schedule):
    recipe = replace(RECIPE, learner=Optional(), schedule=schedule)
    stack = Trainer(replace(recipe, compile="always"), TRAININGS[:1])
    assert stack.state.execution == "plain", "its squares are looked up in a table"


SAMPLED = (
    *("fresh data", "free validation", "no clip, no warm-up", "tight clip, momentum"),
    *("epochs, a batch above n", "trained scales", "depth 4", "one replica"),
)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_equal_the_plain_path(name, request):
    if name not in SAMPLED and not request.config.getoption("--exhaustive"):
        pytest.skip("only with --exhaustive")
    changes, trainings = SCENARIOS[name]
    compare(replace(RECIPE, **changes), trainings)
