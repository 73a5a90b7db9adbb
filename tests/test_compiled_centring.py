"""Centring constants by generated code are those that torch computes, replica by replica."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from compared_trainings import LAYERWISE, RECIPE
from compiled_cases import ONE_EACH, small_recipe

from bfc.engine.centring import PlainCentring
from bfc.engine.compiled import compilation
from bfc.engine.compiled.centring import LaneCentring
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.trainer import Trainer
from bfc.types import Training

TRAININGS = [Training(32, seed) for seed in (3, 0, 3, 5, 1)]


pytestmark = pytest.mark.usefixtures("steps_of_this_run")


def trained_stack(recipe):
    """A stack by generated code after some steps, and the groups of its last phase."""
    trainer = Trainer(replace(recipe, compile="always"), TRAININGS)
    trainer.train_chunk(list(range(len(TRAININGS))), trainer.stages[0], 3)
    return trainer, trainer.stages[-1].present


def compute(trainer, centring, index, present):
    params = {name: p[index] for name, p in trainer.state.params.items()}
    return centring.constants(params, [trainer.data.seed_index[i] for i in index], present)


@pytest.mark.parametrize("names", ONE_EACH, ids="-".join)
def test_every_learner_is_centred_as_on_the_plain_path(build, node, names):
    recipe = small_recipe(build, node, *names)
    trainer, present = trained_stack(recipe)
    lanes = trainer.checks.centring
    if not recipe.learner.needs_reference:
        assert lanes is None
        return
    plain = PlainCentring(trainer.recipe, lanes.pool_x)
    expected = compute(trainer, plain, [4, 1, 0], present)
    actual = compute(trainer, lanes, [4, 1, 0], present)
    assert isinstance(lanes, LaneCentring) and list(actual) == list(expected)
    assert lanes.is_compiled(present) == bool(expected)
    for name, constant in expected.items():
        torch.testing.assert_close(actual[name], constant, rtol=1e-11, atol=1e-11)


def test_constants_have_the_same_bits_in_any_lane_and_after_other_phases():
    trainer, present = trained_stack(replace(RECIPE, schedule=LAYERWISE))
    centring = trainer.checks.centring
    alone = [compute(trainer, centring, [i], present) for i in range(len(TRAININGS))]
    compute(trainer, centring, [0, 1], trainer.stages[0].present)
    together = compute(trainer, centring, [2, 4, 0], present)
    for name, constants in together.items():
        expected = torch.cat([alone[i][name] for i in (2, 4, 0)])
        assert torch.equal(constants, expected)


def test_statistics_without_a_compiled_form_are_taken_operation_by_operation(monkeypatch):
    def refuse(*arguments):
        raise CannotCompile("a test says so")

    monkeypatch.setattr(compilation, "compiled_statistics", refuse)
    trainer, present = trained_stack(RECIPE)
    centring = trainer.checks.centring
    plain = PlainCentring(trainer.recipe, centring.pool_x)
    actual = compute(trainer, centring, [1, 3], present)
    assert not centring.is_compiled(present)
    for name, constant in compute(trainer, plain, [1, 3], present).items():
        assert torch.equal(actual[name], constant)


def test_a_stack_that_runs_plain_is_centred_plain():
    trainer = Trainer(replace(RECIPE, compile="never"), TRAININGS)
    assert isinstance(trainer.checks.centring, PlainCentring)
