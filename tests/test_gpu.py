"""A GPU gives the numbers of the CPU: for every learner on every target it accepts, every baseline
and every representation of ``conf/``, with the recorded steps in use; and a training that was
interrupted there ends bit for bit as one that was not."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from bfc.engine.recipe import Recipe
from bfc.engine.scheduler import run_fused
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
    cpu_records, gpu_records = on_cpu.run(None), on_gpu.run(None)
    assert on_gpu.steps.graph is not None, "the steps were not recorded"
    for cpu, gpu in zip(cpu_records, gpu_records, strict=True):
        assert gpu["risk"] == pytest.approx(cpu["risk"], rel=1e-6)
        assert gpu["steps"] == cpu["steps"]
    for name, p in on_cpu.state.params.items():
        torch.testing.assert_close(on_gpu.state.params[name].cpu(), p, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_recorded_steps_are_the_steps(build, node, monkeypatch, optimizer_name, dtype):
    """Bit for bit: with and without a recording, on rows, rates and clocks that change from step to
    step."""
    momentum = {"momentum": 0.9} if "momentum" in node("optimizer", optimizer_name) else {}
    mlp_recipe = replace(
        recipe((build("learner", "mlp", widths=[16, 8]), Parity(d=6))),
        optimizer=build("optimizer", optimizer_name, batch=8, warmup=3, **momentum),
        dtype=dtype,
        device=GPU,
    )
    params = []
    for block in (GRAPH_STEPS, 1):
        monkeypatch.setattr("bfc.engine.steps.GRAPH_STEPS", block)
        stack = Trainer(mlp_recipe, POOLED, None, None)
        stack.run(None)
        assert (stack.steps.graph is not None) == (block > 1)
        params.append(stack.state.params)
    assert all(torch.equal(p, params[1][name]) for name, p in params[0].items())


def test_an_interrupted_training_goes_on_bit_for_bit(build):
    mlp_recipe = replace(
        recipe((build("learner", "mlp", widths=[16, 8]), Parity(d=6)), device=GPU),
        schedule=replace(SCHEDULE, check_every=8),
        dtype=torch.float32,
    )
    uninterrupted = Trainer(mlp_recipe, POOLED, None, None)
    states = []
    uninterrupted.run(lambda state, done, total: states.append(copy.deepcopy(state.tensors())))
    for state in states[:-1]:
        resumed = Trainer(mlp_recipe, POOLED, None, copy.deepcopy(state))
        resumed.run(None)
        assert all(
            torch.equal(p, uninterrupted.state.params[name])
            for name, p in resumed.state.params.items()
        )


def test_a_curve_is_that_of_the_cpu(small_baseline, build):
    target = build("target", "quadratic_densenet", d=4, L=3, widths=[2, 2])
    tuned = small_baseline.tune(target, 64)
    cpu, gpu = (small_baseline.curve(target, 3, 64, tuned, device) for device in ("cpu", "cuda"))
    assert gpu.risk == pytest.approx(cpu.risk, rel=1e-5)
    tuned_on_gpu = small_baseline.tune(target, 64, "cuda")
    for name in ("reached", "seeds"):
        assert tuned_on_gpu[name] == tuned[name]


def test_a_representation_is_that_of_the_cpu(build, node, representation_name):
    small = {"n0": 2000, "multiple": 2.0, "labels": 200, "steps": 20, "units": 16}
    keys = node("representation", representation_name)
    changes = {key: value for key, value in small.items() if key in keys}
    representation = build("representation", representation_name, **changes)
    target = representation.wrap(build("target", "low_rank", d=5))
    cpu, gpu = (
        sample(
            target.draw([0, 3], torch.float64, device),
            "train",
            torch.arange(20, device=device).expand(2, -1),
        )
        for device in ("cpu", GPU)
    )
    torch.testing.assert_close(gpu[1].cpu(), cpu[1], rtol=1e-6, atol=1e-7)
    # whitened features are unique up to a rotation
    products = [h @ h.mT for h in (cpu[0], gpu[0].cpu())]
    torch.testing.assert_close(products[1], products[0], rtol=1e-5, atol=1e-6)


def test_cells_in_one_stack_get_what_they_get_alone(pair):
    """The stack's other cell has labels of another noise; steps are recorded."""
    recipes = [recipe(pair, device=GPU)] * 2
    if recipes[0].target.outputs == 1:
        noisy = Regression(noise=0.3).wrap(recipes[0].target)
        recipes[1] = replace(recipes[0], target=noisy)

    def request(cell_recipe: Recipe):
        rates = torch.full((3,), 1e-3, dtype=torch.float64)
        return lambda train: train(StackRequest(cell_recipe, POOLED, rates, 1024, lambda *_: None))

    ends = run_fused([request(cell_recipe) for cell_recipe in recipes])
    for end, cell_recipe in zip(ends, recipes, strict=True):
        assert end.stack == 6
        alone = request(cell_recipe)(train_stack)
        for in_common, by_itself in zip(end.records, alone.records, strict=True):
            assert in_common["risk"] == pytest.approx(by_itself["risk"], rel=1e-8)
