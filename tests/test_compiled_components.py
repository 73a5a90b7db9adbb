"""Components as a user writes them: generated code does what they do, or they run without it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from compared_trainings import TRAININGS, fused, same_params
from compiled_cases import SMALL, compare

from bfc.engine.compiled import cache, lane_steps
from bfc.learners.mlp import MLP
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.base import Optimizer
from bfc.optimizers.sgd import SGD
from bfc.paths import CONF
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher

pytestmark = pytest.mark.usefixtures("steps_of_this_run")


def learner_with(change):
    """A perceptron whose outputs go through ``change(outputs, inputs)``; all have one name."""

    @dataclass(frozen=True)
    class Changed(MLP):
        has_vjp: ClassVar[bool] = False

        def forward(self, params, x, present, statistics=None):
            return change(super().forward(params, x, present, statistics), x)

    return Changed(widths=(3,))


# ---- which code belongs to a component ---------------------------------------------------------


@pytest.mark.parametrize("group", ["learner", "optimizer", "target"])
def test_every_component_of_the_program_is_found_without_a_trace(build, group):
    """By its fields, for its source code is part of the program."""
    names = {path.stem for path in (CONF / group).glob("*.yaml")} - {"none"}
    assert len(names) > 2
    for name in names:
        assert cache.is_named_by_repr(build(group, name)), name


def test_a_component_that_is_written_elsewhere_is_not_found_by_its_name():
    learner = learner_with(lambda out, x: out)
    assert not cache.is_named_by_repr(learner)
    assert not cache.is_named_by_repr((1, {"learner": learner}))
    assert not cache.is_named_by_repr(torch.zeros(1))


def test_learners_of_one_name_have_code_of_their_own():
    """As where a cell of a notebook is run again with another definition."""
    first, second = (learner_with(lambda out, x, a=a: a * out) for a in (1.0, 2.0))
    assert repr(first) == repr(second)
    for learner in (first, second):
        compare(replace(SMALL, learner=learner), TRAININGS[:2])


FACTOR = 1.0


def test_code_follows_what_a_learner_calls(monkeypatch):
    recipe = replace(SMALL, learner=learner_with(lambda out, x: FACTOR * out))
    for factor in (1.0, 2.0):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        compare(recipe, TRAININGS[:2])


def test_constants_of_checks_follow_what_a_learner_calls(monkeypatch):
    @dataclass(frozen=True)
    class Scaled(QuadraticDenseNet):
        def statistics(self, params, x, present):
            constants = super().statistics(params, x, present)
            return {name: FACTOR * value for name, value in constants.items()}

    recipe = replace(SMALL, target=Teacher(d=4, L=2, widths=(2,)), learner=Scaled())
    for factor in (1.0, 2.0):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        compare(recipe, TRAININGS[:2])


# ---- learners ----------------------------------------------------------------------------------


def put_zeros(out, x):
    out = out.clone()
    out[:, torch.tensor([0, 2])] = 0.0
    return out


COMPILED = {
    "a condition as a number": lambda out, x: out * (out > 0) + (x[:, :, 0] > 0),
    "an input that is read beside the network": lambda out, x: out + x[:, :, 1] * 0.1,
}
REFUSED = {
    "reads a number": lambda out, x: out * (1 + float(x.mean())),
    "reads a list of numbers": lambda out, x: out * (1 + x.mean((1, 2)).tolist()[0]),
    "reads numbers as an array": lambda out, x: out * (1 + float(x.detach().numpy().mean())),
    "adds up over replicas": lambda out, x: out * out.sum(),
    "takes a mean over replicas": lambda out, x: out - out.mean(),
    "reads where a mask is true": lambda out, x: out[:, torch.ones(out.shape[1]) > 0],
    "puts one number at several places": put_zeros,
    "uses an operation without a rule": lambda out, x: out.cumsum(1),
}


@pytest.mark.parametrize("change", COMPILED.values(), ids=COMPILED)
def test_what_a_learner_does_is_compiled(change):
    compare(replace(SMALL, learner=learner_with(change)), TRAININGS[:2])


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_what_has_no_compiled_form_runs_as_without_it(change):
    """Bit for bit, where code is asked for."""
    recipe = replace(SMALL, learner=learner_with(change))
    _, expected = fused(replace(recipe, compile="never"), TRAININGS[:2])
    _, state = fused(replace(recipe, compile="always"), TRAININGS[:2])
    assert state.execution == "plain"
    same_params(state.params, expected.params, tolerance=0.0)


def test_random_numbers_of_torch_are_not_drawn_once_and_for_all():
    learner = learner_with(lambda out, x: out * torch.rand(1, dtype=out.dtype))
    _, state = fused(replace(SMALL, learner=learner, compile="always"), TRAININGS[:1])
    assert state.execution == "plain"


def test_statistics_that_cannot_be_traced_are_taken_by_torch():
    @dataclass(frozen=True)
    class Listing(QuadraticDenseNet):
        def statistics(self, params, x, present):
            constants = super().statistics(params, x, present)
            return {name: value + float(value.flatten()[0]) for name, value in constants.items()}

    compare(replace(SMALL, target=Teacher(d=4, L=2, widths=(2,)), learner=Listing()))


# ---- optimizers --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class KeepsPrevious(Optimizer):
    """Heavy ball by the difference of two iterates; the older one is a buffer."""

    state_names: ClassVar[tuple[str, ...]] = ("previous",)

    def _update(self, flat, grad, state, lr, clock):
        last = flat.clone()
        flat.add_(0.1 * (flat - state["previous"]) - lr * grad)
        state["previous"].copy_(last)


@dataclass(frozen=True, kw_only=True)
class Exchanges(Optimizer):
    """Two buffers change places at every step."""

    state_names: ClassVar[tuple[str, ...]] = ("first", "second")

    def _update(self, flat, grad, state, lr, clock):
        first = state["first"].clone()
        state["first"].copy_(state["second"])
        state["second"].copy_(first + grad)
        flat.sub_(lr * state["first"])


@dataclass(frozen=True, kw_only=True)
class ReadsNoRate(Optimizer):
    def _update(self, flat, grad, state, lr, clock):
        flat.sub_(0.01 * grad)


@pytest.mark.parametrize("optimizer", [KeepsPrevious, Exchanges, ReadsNoRate])
def test_optimizers_with_other_buffers_equal_the_plain_path(optimizer):
    compare(replace(SMALL, optimizer=optimizer(lr=0.05, batch=8, warmup=1)))


def test_rows_in_turn_are_numbered_for_some_steps_at_a_time(monkeypatch):
    monkeypatch.setattr(lane_steps, "BLOCK_BYTES", 8 * 16 * 8 * 3)
    optimizer = SGD(lr=0.05, batch=8, warmup=1, sampling="epochs")
    schedule = replace(SMALL.schedule, check_every=12)
    compare(replace(SMALL, optimizer=optimizer, schedule=schedule))
