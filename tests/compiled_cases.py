"""Small trainings by generated code, and how they are compared with the plain path."""

from __future__ import annotations

from dataclasses import replace

from compared_trainings import LAYERWISE, RECIPE, TRAININGS, fused, same_params, same_record

from bfc.learners.mlp import MLP
from bfc.targets.parity import Parity

NOT_COMPILED = (("conv_resnet", "images"),)
"""Learners on targets that take their steps operation by operation."""
ONE_EACH = (
    ("coupled_network", "low_rank", "all", "adam"),
    ("mean_field", "radial", "frozen_first", "sgd"),
    ("mlp", "parity", "layerwise", "lion"),
    ("mlp", "hierarchy", "layerwise", "adam"),
    ("ntk_model", "low_rank", "all", "sgd"),
    ("quadratic_densenet", "quadratic_densenet", "refit", "adam"),
    ("quadratic_taylor", "quadratic_feature", "all", "lion"),
    ("resnet", "images", "joint", "adam"),
    ("resnet", "tent", "joint", "sgd"),
    ("three_layer_network", "leap", "sight", "sgd"),
    ("tree", "parity", "refit", "adam"),
    ("twin", "index", "layerwise", "adam"),
    ("two_layer_network", "leap", "all", "sgd"),
    ("two_layer_quadratic", "random_polynomial", "all", "adam"),
    ("untied_quadratic", "quadratic_densenet", "joint", "adam"),
)
"""A learner, target, schedule and optimizer for every learner that is compiled."""
SMALL = replace(
    RECIPE,
    target=Parity(d=4, law="gaussian"),
    learner=MLP(widths=(3,)),
    schedule=replace(LAYERWISE, steps=12, check_every=4),
)


def compare(recipe, trainings=TRAININGS, tolerance=1e-9, **options):
    """Train by generated code and by the plain path; records and parameters agree."""
    records, state = fused(replace(recipe, compile="always"), trainings, **options)
    assert state.execution == "compiled"
    expected, plain = fused(replace(recipe, compile="never"), trainings, **options)
    assert plain.execution == "plain"
    for actual, want in zip(records, expected, strict=True):
        same_record(actual, want, tolerance)
    same_params(state.params, plain.params, tolerance)
    return records


def small_recipe(build, node, learner, target, schedule, optimizer):
    small = {"d": 6} if "d" in node("target", target) else {}
    steps = {"steps": 8, "check_every": 5}
    recipe = replace(
        RECIPE,
        learner=build("learner", learner),
        target=build("target", target, **small),
        schedule=build("schedule", schedule, **steps),
        optimizer=build("optimizer", optimizer, batch=16, warmup=3),
    )
    total = recipe.total_steps()
    if total > 50:
        recipe = replace(recipe, schedule=replace(recipe.schedule, steps=max(2, 8 * 48 // total)))
    return recipe
