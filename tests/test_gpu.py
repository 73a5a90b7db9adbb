"""A GPU gives the numbers of the CPU: for every learner on every target it accepts, every baseline
and every representation of ``conf/``, with the recorded steps in use; and a training that was
interrupted there ends bit for bit as one that was not."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from bfc.engine.recipe import Recipe
from bfc.engine.scheduler import run_together
from bfc.engine.stack_request import StackRequest, train_stack
from bfc.engine.steps import GRAPH_STEPS
from bfc.engine.trainer import Trainer
from bfc.optimizers.adam import Adam
from bfc.schedules import Phase, Schedule
from bfc.targets.parity import Parity
from bfc.tasks.regression import Regression
from bfc.types import Training, sample

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")

GPU = torch.device("cuda")
SCHEDULE = Schedule(
    (Phase(("level*", "bias")),), steps=3 * GRAPH_STEPS + 4, check_every=3 * GRAPH_STEPS + 4
)
POOLED, FRESH = (
    (Training(40, 0), Training(64, 0), Training(64, 1)),
    (Training(0, 0), Training(0, 1)),
)


def recipe(pair, **changes) -> Recipe:
    learner, target = pair
    phases = (
        Phase(tuple(group for group in learner.groups(target) if not group.startswith("readout"))),
    )
    return Recipe(
        target,
        learner,
        replace(SCHEDULE, phases=phases),
        Adam(batch=16, lr=1e-3),
        test=256,
        dtype=torch.float64,
        **{"validation": "none", **changes},
    )


@pytest.mark.parametrize("trainings", [POOLED, FRESH], ids=["pooled", "fresh"])
def test_a_training_is_that_of_the_cpu(pair, trainings):
    if trainings == FRESH and pair[1].n_available is not None:
        pytest.skip("this target has a finite number of rows")
    on_cpu, on_gpu = (
        Trainer(recipe(pair, device=device), trainings, None, None)
        for device in (torch.device("cpu"), GPU)
    )
    want, found = on_cpu.run(None), on_gpu.run(None)
    assert on_gpu.steps.graph is not None, "the steps were not recorded"
    for one, other in zip(want, found, strict=True):
        assert (
            other["risk"] == pytest.approx(one["risk"], rel=1e-6) and other["steps"] == one["steps"]
        )
    for name, p in on_cpu.state.params.items():
        torch.testing.assert_close(on_gpu.state.params[name].cpu(), p, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_recorded_steps_are_the_steps(build, node, monkeypatch, optimizer_name, dtype):
    """Bit for bit: with and without a recording, on rows, rates and clocks that change from step to
    step."""
    momentum = {"momentum": 0.9} if "momentum" in node("optimizer", optimizer_name) else {}
    own = replace(
        recipe((build("learner", "mlp", widths=[16, 8]), Parity(d=6))),
        optimizer=build("optimizer", optimizer_name, batch=8, warmup=3, **momentum),
        dtype=dtype,
        device=GPU,
    )
    found = []
    for block in (GRAPH_STEPS, 1):
        monkeypatch.setattr("bfc.engine.steps.GRAPH_STEPS", block)
        stack = Trainer(own, POOLED, None, None)
        stack.run(None)
        assert (stack.steps.graph is not None) == (block > 1)
        found.append(stack.state.params)
    assert all(torch.equal(p, found[1][name]) for name, p in found[0].items())


def test_an_interrupted_training_goes_on_bit_for_bit(build):
    own = replace(
        recipe((build("learner", "mlp", widths=[16, 8]), Parity(d=6)), device=GPU),
        schedule=replace(SCHEDULE, check_every=8),
        dtype=torch.float32,
    )
    whole = Trainer(own, POOLED, None, None)
    kept = []
    whole.run(lambda state, done, total: kept.append(copy.deepcopy(state.tensors())))
    for state in kept[:-1]:
        again = Trainer(own, POOLED, None, copy.deepcopy(state))
        again.run(None)
        assert all(
            torch.equal(p, whole.state.params[name]) for name, p in again.state.params.items()
        )


def test_a_curve_is_that_of_the_cpu(small_baseline, build):
    target = build("target", "quadratic_densenet", d=4, L=3, widths=[2, 2])
    tuned = small_baseline.tune(target, 64)
    want, found = (small_baseline.curve(target, 3, 64, tuned, device) for device in ("cpu", "cuda"))
    assert found.risk == pytest.approx(want.risk, rel=1e-5)
    assert {
        name: small_baseline.tune(target, 64, "cuda")[name] for name in ("reached", "seeds")
    } == {name: tuned[name] for name in ("reached", "seeds")}


def test_a_representation_is_that_of_the_cpu(build, node, representation_name):
    few = {"n0": 2000, "multiple": 2.0, "labels": 200, "steps": 20, "units": 16}
    lens = build(
        "representation",
        representation_name,
        **{
            key: value
            for key, value in few.items()
            if key in node("representation", representation_name)
        },
    )
    target = lens.wrap(build("target", "low_rank", d=5))
    want, found = (
        sample(
            target.draw([0, 3], torch.float64, device),
            "train",
            torch.arange(20, device=device).expand(2, -1),
        )
        for device in ("cpu", GPU)
    )
    torch.testing.assert_close(found[1].cpu(), want[1], rtol=1e-6, atol=1e-7)
    products = [
        h @ h.mT for h in (want[0], found[0].cpu())
    ]  # whitened features are unique up to a rotation
    torch.testing.assert_close(products[1], products[0], rtol=1e-5, atol=1e-6)


def test_cells_in_one_stack_get_what_they_get_alone(pair):
    """Beside one of other noise, with steps recorded."""
    own = recipe(pair, device=GPU)
    beside = (
        replace(own, target=Regression(noise=0.3).wrap(own.target))
        if own.target.outputs == 1
        else own
    )

    def asking(each: Recipe):
        rates = torch.full((3,), 1e-3, dtype=torch.float64)
        return lambda train: train(StackRequest(each, POOLED, rates, 1024, lambda *_: None))

    for end, each in zip(run_together([asking(own), asking(beside)]), (own, beside), strict=True):
        assert end.stack == 6
        for one, other in zip(end.records, asking(each)(train_stack).records, strict=True):
            assert one["risk"] == pytest.approx(other["risk"], rel=1e-8)
