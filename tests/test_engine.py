"""The fused loop gives the numbers of a plain loop over one replica at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import pytest
import torch
from compared_trainings import (
    RECIPE,
    STAGED,
    TARGET,
    TRAININGS,
    equals_plain,
    fused,
    same_record,
)
from engine_scenarios import PENALISED, SCENARIOS, UNTIL, WithOptionalParts
from plain_loop import plain_train, torch_optimizer
from torch import Tensor, nn

from bfc.engine.trainer import train
from bfc.optimizers.adam import Adam
from bfc.optimizers.base import Optimizer
from bfc.optimizers.sgd import SGD
from bfc.probes.feature_error import FeatureError
from bfc.schedules import Schedule
from bfc.tasks.regression import Regression
from bfc.types import Training


def test_every_learner_schedule_and_optimizer_equals_the_plain_loop(
    build, node, learner_target_schedule, optimizer_name
):
    learner, target, schedule = learner_target_schedule
    if target == "images":
        pytest.skip("slow; test_resnet and test_conv_resnet compare steps with torch.nn")
    keys = node("target", target)
    small = {"d": 6} if "d" in keys else {}
    if "judged" in keys:
        small["judged"] = "squared"  # a count of errors jumps where a rounding moves a score
    has_early_stop = build("schedule", schedule).patience is not None
    checks = {"check_every": 2, "patience": 1} if has_early_stop else {"check_every": 5}
    recipe = replace(
        RECIPE,
        learner=build("learner", learner),
        target=build("target", target, **small),
        schedule=build("schedule", schedule, steps=12, **checks),
        optimizer=build("optimizer", optimizer_name, batch=16, warmup=3),
    )
    total = sum(stage.steps for stage in recipe.stages())
    if total > 50:
        recipe = replace(recipe, schedule=replace(recipe.schedule, steps=max(2, 12 * 48 // total)))
    equals_plain(recipe, TRAININGS)


def test_a_field_that_torch_does_not_know_is_named():
    @dataclass(frozen=True, kw_only=True)
    class RMSprop(SGD):
        beta: float = 0.9

    sentence = "RMSprop: torch.optim.RMSprop knows no beta; rename it, or map it in torch_optimizer"
    parameters = [{"params": [nn.Parameter(torch.zeros(2))]}]
    with pytest.raises(AssertionError, match=sentence):
        torch_optimizer(RMSprop(), parameters, 0.1)


@pytest.mark.parametrize(
    "optimizer",
    [Adam(lr=0.05, batch=16, warmup=3), SGD(lr=0.1, batch=16, warmup=3, momentum=0.9)],
    ids=["adam", "sgd"],
)
@pytest.mark.parametrize(
    "schedule", [STAGED, PENALISED, UNTIL], ids=["staged", "penalised", "until"]
)
def test_the_optional_parts_of_a_learner_equal_the_plain_loop(schedule, optimizer):
    records = equals_plain(
        replace(RECIPE, learner=WithOptionalParts(), schedule=schedule, optimizer=optimizer),
        TRAININGS,
    )
    plain = equals_plain(replace(RECIPE, schedule=schedule, optimizer=optimizer), TRAININGS)
    assert [r["risk"] for r in records] != [r["risk"] for r in plain]


def test_a_phase_ends_where_the_training_loss_is_low_enough():
    recipe = replace(
        RECIPE,
        schedule=replace(UNTIL, steps=400, check_every=20),
        optimizer=Adam(lr=0.05, batch=32, warmup=3),
    )
    (record,) = train(recipe, [Training(2000, 0)])
    assert record["steps"] < 800 and record["steps"] % 20 == 0 and record["level2/risk"] < 1.2


def test_label_noise_is_seen_by_training_and_not_by_the_judge():
    noisy = Regression(noise=0.5).wrap(TARGET)
    equals_plain(replace(RECIPE, target=noisy), TRAININGS)
    draw, rows = noisy.draw([0, 1], torch.float64), torch.arange(20_000).expand(2, -1)
    for role in ("train", "validation", "test"):
        x = draw.inputs(role, rows)
        noise = draw.observe(role, rows, x) - draw.labels(x)
        want = 0.0 if role == "test" else 0.5
        torch.testing.assert_close(noise.std(1), want * draw.variance.sqrt(), rtol=0.03, atol=0)
    again = draw.select([1])
    assert torch.equal(
        again.observe("train", rows[:1, :50], again.inputs("train", rows[:1, :50]))[0],
        draw.observe("train", rows[:, :50], draw.inputs("train", rows[:, :50]))[1],
    )


def test_the_probe_looks_on_the_way_and_changes_nothing():
    plain = train(replace(RECIPE, probe=FeatureError(rows=256)), TRAININGS)
    looked = train(replace(RECIPE, probe=FeatureError(rows=256, num_evals=6)), TRAININGS)
    for record, without in zip(looked, plain, strict=True):
        trace = record.pop("trace")
        same_record(record, without)
        assert [look["step"] for look in trace] == [0, 1, 2, 5, 11, 24]
        assert trace[0]["stage"] == "level2" and trace[-1]["stage"] == "level3"
        assert (
            trace[0]["gram/2"] == trace[0]["gram/2"]
            and math.isnan(trace[0]["gram/3"])
            and trace[0]["risk"] != trace[-1]["risk"]
        )


@pytest.mark.parametrize("changes, trainings", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_scenarios_equal_the_plain_loop(changes, trainings):
    equals_plain(replace(RECIPE, **changes), trainings)


def test_every_replica_has_its_own_rate():
    rates = torch.tensor([0.001, 0.01, 0.1, 0.3], dtype=torch.float64)
    same = [Training(40, 3)] * 4
    records = equals_plain(
        replace(RECIPE, optimizer=SGD(lr=123.0, batch=16, warmup=3)), same, rates
    )
    assert len({record["risk"] for record in records}) == 4


@dataclass(frozen=True)
class StrictSchedule(Schedule):
    """Small improvements do not count, and no phase ends before it has taken some steps."""

    def has_improved(self, risk: Tensor, best: Tensor) -> Tensor:
        return risk < 0.7 * best

    def ends_phase(self, step: int, stale_checks: int, is_loss_low: bool) -> bool:
        return step >= 8 and super().ends_phase(step, stale_checks, is_loss_low)


def test_the_early_stop_is_the_rule_of_the_schedule():
    """The plain loop agrees, also where observations fall between checks."""
    keys = {f.name: getattr(STAGED, f.name) for f in fields(STAGED)}
    schedule = StrictSchedule(**{**keys, "steps": 20, "check_every": 2, "patience": 1})
    recipe = replace(
        RECIPE, schedule=schedule, optimizer=SGD(lr=0.4, batch=8, warmup=1), observe=(3, 9, 13)
    )
    records = equals_plain(recipe, TRAININGS)
    lenient = replace(recipe, schedule=Schedule(**{**keys, "steps": 20, "check_every": 2}))
    assert max(record["steps"] for record in records) < 40
    assert min(record["steps"] for record in records) == 16
    assert records != train(lenient, list(TRAININGS))


@pytest.mark.parametrize("patience", [1, 2])
def test_an_early_stop_moves_only_its_own_replica_on(patience):
    """Replicas that stop go on from their best when the phase of the others ends.

    Each gets the numbers that it gets in a stack of its own.
    """
    recipe = replace(
        RECIPE,
        schedule=replace(STAGED, steps=24, check_every=2, patience=patience),
        optimizer=SGD(lr=0.4, batch=8, warmup=1),
    )
    trainings = [Training(n, seed) for seed in range(4) for n in (8, 200)]
    records = equals_plain(recipe, trainings)
    assert len({record["steps"] for record in records}) > 3 and any(
        record["steps"] < 48 for record in records
    )


def test_the_best_of_every_phase_is_restored():
    """A training that got worse ends with the parameters of its lowest validation risk."""
    recipe = replace(
        RECIPE,
        schedule=replace(STAGED, check_every=1),
        optimizer=SGD(lr=0.5, batch=4, warmup=1, decay="constant"),
    )
    _, state = fused(recipe, TRAININGS)
    behind = 0
    for i, training in enumerate(TRAININGS):
        path = plain_train(recipe, training).path
        gaps = [
            max(float((step[name] - p[i]).abs().max()) for name, p in state.params.items())
            for step in path[12:]
        ]
        assert min(gaps) < 1e-9
        behind += gaps.index(min(gaps)) < len(gaps) - 1
    assert behind > 0


def test_observations_equal_the_plain_loop():
    recipe = replace(
        RECIPE,
        validation="none",
        observe=(1, 4, 12, 13, 24),
        optimizer=SGD(lr=0.05, batch=16, warmup=3, decay="constant"),
    )
    for trainings in ((Training(0, 0), Training(0, 1)), TRAININGS):
        records = equals_plain(recipe, trainings)
        assert [step for step, _ in records[0]["curve"]] == [1, 4, 12, 13, 24]
        assert (
            records[0]["curve"][-1][1] == records[0]["risk"]
            and records[0]["curve"][2][1] == records[0]["level2/risk"]
        )


def test_clipping_is_that_of_torch_up_to_its_guard():
    """torch.nn.utils.clip_grad_norm_ adds 1e-6 to the norm; apart from that the same."""
    for scale in (0.1, 10.0):
        grad = scale * torch.randn(
            1, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
        )
        flat, want = (
            torch.zeros(1, 50, dtype=torch.float64),
            nn.Parameter(torch.zeros(50, dtype=torch.float64)),
        )
        SGD(lr=1.0).step(flat, grad, {}, torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1))
        want.grad = grad[0].clone()
        torch.nn.utils.clip_grad_norm_([want], 1.0)
        torch.testing.assert_close(-flat[0], want.grad, rtol=1e-5, atol=1e-9)


def test_the_base_optimizer_is_refused():
    with pytest.raises(TypeError, match="abstract"):
        Optimizer()
