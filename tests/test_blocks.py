"""Code for a GPU takes the steps that the plain path takes; it runs in Triton's interpreter."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import interpreted_triton  # noqa: F401
import pytest
import torch
from compared_trainings import LAYERWISE, RECIPE, TRAININGS, fused, same_record
from compiled_cases import NOT_COMPILED, ONE_EACH, SMALL, compare, small_recipe
from compiled_row_cases import DRAWN, compare_rows, recipe_of
from engine_scenarios import SCENARIOS
from race_detector import detected_races

from bfc.engine.compiled import cache, choice, compilation
from bfc.engine.compiled.__main__ import main as show_compiled_step
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.state import COMPILED, PLAIN
from bfc.engine.trainer import Trainer
from bfc.learners.mlp import MLP
from bfc.optimizers.adam import Adam
from bfc.optimizers.sgd import SGD
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet
from bfc.tasks.classification import Classification
from bfc.types import Training

pytest.importorskip("triton", minversion="3.9")  # earlier interpreters need an earlier NumPy
from bfc.engine.compiled.blocks import code, gpu, loops, products, rows

choose_hardware = compilation.hardware


@pytest.fixture(autouse=True)
def _blocks_on_a_cpu(tmp_path_factory, monkeypatch):
    """Steps on a CPU are compiled as for a GPU; nothing of another run is used."""
    monkeypatch.setattr(cache, "CACHE", tmp_path_factory.getbasetemp() / "blocks")
    monkeypatch.setattr(compilation, "_steps", {})
    monkeypatch.setattr(compilation, "hardware", gpu.Gpu)


def _with_steps(recipe, total):
    """The recipe with few steps in all, for the interpreter is slow."""
    schedule = replace(recipe.schedule, steps=max(1, total // len(recipe.stages())), check_every=2)
    return replace(recipe, schedule=schedule)


OPTIMIZERS = ("adam", "lion", "sgd")


@pytest.mark.exhaustive
def test_every_learner_and_schedule_equals_the_plain_path(build, node, learner_target_schedule):
    """With one of the optimizers, for the interpreter is slow."""
    optimizer = OPTIMIZERS[sum(map(ord, "".join(learner_target_schedule))) % len(OPTIMIZERS)]
    learner, target, schedule = learner_target_schedule
    if (learner, target) not in NOT_COMPILED:
        recipe = small_recipe(build, node, learner, target, schedule, optimizer)
        compare(_with_steps(recipe, 3), TRAININGS[1:2])


@pytest.mark.parametrize("names", ONE_EACH, ids="-".join)
def test_a_case_of_every_learner_equals_the_plain_path(build, node, names, monkeypatch):
    """And no thread reads or stores what another stores before both meet at a barrier."""
    recipe = _with_steps(small_recipe(build, node, *names), 4)
    with detected_races(monkeypatch) as races:
        compare(recipe, TRAININGS[1:2])
    assert not races


def test_a_missing_barrier_is_a_race(monkeypatch):
    monkeypatch.setattr(code, "barriers", lambda plan: [False] * len(plan.loops))
    with detected_races(monkeypatch) as races:
        compare(_with_steps(SMALL, 2), TRAININGS[:1])
    assert races


@pytest.mark.parametrize("loss", ["logistic", "hinge"])
def test_other_losses_equal_the_plain_path(loss):
    target = Classification(loss=loss, margin=0.0).wrap(Parity(d=6, law="gaussian"))
    compare(_with_steps(replace(SMALL, target=target), 6), TRAININGS[:2])


def test_a_phase_ends_on_the_training_loss_as_on_the_plain_path():
    phase = replace(LAYERWISE.phases[0], until=0.9)
    schedule = replace(SMALL.schedule, phases=(phase,), steps=24, check_every=3)
    records = compare(replace(SMALL, schedule=schedule), TRAININGS[:3])
    assert len({record["steps"] for record in records}) > 1


@pytest.mark.parametrize("name", ["fresh data", "epochs, a batch above n", "tight clip, momentum"])
def test_scenarios_equal_the_plain_path(name):
    changes, trainings = SCENARIOS[name]
    compare(_with_steps(replace(RECIPE, **changes), 4), trainings[:2])


@pytest.mark.parametrize("target", sorted(DRAWN))
def test_fresh_rows_are_those_of_torch(build, target, monkeypatch):
    with detected_races(monkeypatch) as races:
        assert compare_rows(recipe_of(build("target", target, d=6)), 1e-12)
    assert not races


@pytest.mark.parametrize("d", [1, 2, 7])
def test_rows_in_tiles_of_any_size_are_those_of_torch(d, monkeypatch):
    monkeypatch.setattr(rows, "MAX_NUMBERS", 4)
    target = QuadraticDenseNet(d=d, L=2, widths=(1,))
    assert compare_rows(recipe_of(target, torch.float32, batch=10), 2e-6)


LARGE = replace(
    RECIPE,
    target=Parity(d=40, law="gaussian"),
    learner=MLP(widths=(70, 66)),
    optimizer=Adam(lr=0.01, batch=75, warmup=1, clip=1.0),
)
"""A step that takes several tiles along every axis, none of them whole."""


def test_sizes_beyond_a_tile_equal_the_plain_path():
    compare(_with_steps(LARGE, 2), TRAININGS[1:2])


def test_tiles_of_any_size_equal_the_plain_path(monkeypatch):
    for module, name, size in (
        (loops, "MAX_NUMBERS", 64),
        (loops, "MAX_SUMS", 4),
        (rows, "MAX_NUMBERS", 8),
        (products, "MAX_TILE", 16),
        (products, "MAX_INNER", 16),
    ):
        monkeypatch.setattr(module, name, size)
    recipe = replace(
        RECIPE,
        target=Parity(d=20, law="gaussian"),
        learner=MLP(widths=(19, 18)),
        optimizer=Adam(lr=0.01, batch=37, warmup=1, clip=1.0),
    )
    compare(_with_steps(recipe, 2), TRAININGS[1:2])


def test_single_precision_agrees_to_rounding():
    recipe = replace(SMALL, dtype=torch.float32, optimizer=Adam(lr=0.01, batch=16, warmup=3))
    compare(_with_steps(recipe, 6), TRAININGS[:2], tolerance=1e-4)


def test_a_replica_gets_the_same_bits_in_any_stack():
    recipe = replace(_with_steps(SMALL, 4), compile="always")
    records, state = fused(recipe, TRAININGS)
    alone, single = fused(recipe, TRAININGS[2:3])
    same_record(alone[0], records[2])
    assert all(torch.equal(single.params[name][0], p[2]) for name, p in state.params.items())


def test_rates_per_replica_and_replicas_that_end_early_equal_the_plain_path():
    schedule = replace(LAYERWISE, steps=12, check_every=2, patience=1)
    recipe = replace(SMALL, schedule=schedule, optimizer=SGD(lr=0.4, batch=8, warmup=1))
    rates = torch.tensor([0.01, 0.8, 0.4], dtype=torch.float64)
    records = compare(recipe, [Training(n, n) for n in (8, 9, 200)], rates=rates)
    assert len({record["steps"] for record in records}) > 1


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_a_replica_that_diverges_touches_no_other():
    optimizer = SGD(lr=0.1, batch=8, warmup=1, clip=None)
    learner = MLP(widths=(3,), activation="quadratic")
    recipe = _with_steps(replace(SMALL, optimizer=optimizer, learner=learner), 12)
    recipe = replace(recipe, compile="always")
    rates = torch.tensor([0.01, 1e30, 0.01], dtype=torch.float64)
    records, state = fused(recipe, TRAININGS[:3], rates=rates)
    calm, expected = fused(recipe, TRAININGS[:3], rates=torch.full_like(rates, 0.01))
    assert records[1]["diverged"] and math.isnan(records[1]["risk"])
    for i in (0, 2):
        same_record(records[i], calm[i])
        assert all(torch.equal(expected.params[n][i], p[i]) for n, p in state.params.items())


def test_a_checkpoint_resumes_bit_for_bit():
    states = []
    recipe = replace(_with_steps(SMALL, 8), compile="always")
    whole, last = fused(
        recipe,
        TRAININGS[:2],
        on_chunk=lambda state, done, total: states.append(state.copy().tensors()),
    )
    assert states[0]["execution"] == COMPILED
    resumed, again = fused(replace(recipe, compile="never"), TRAININGS[:2], resume=states[0])
    assert again.execution == COMPILED and str(resumed) == str(whole)
    assert all(torch.equal(again.params[name], p) for name, p in last.params.items())


def test_a_learner_without_a_compiled_form_runs_plain_and_says_why(build, node, capsys):
    choice._say_once.cache_clear()
    recipe = small_recipe(build, node, *NOT_COMPILED[0], "all", "sgd")
    recipe = replace(recipe, learner=build("learner", "conv_resnet", widths=[2, 2, 3]))
    assert Trainer(replace(recipe, compile="always"), TRAININGS[:1]).state.execution == PLAIN
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("ConvResNet: runs operation by operation, since ")


def test_there_is_code_for_an_h100(capsys):
    """Stores of one loop are seen by all threads in the next: no barrier is left out.

    The compiler runs in a process of its own, for in this one programs are interpreted.
    """
    show_compiled_step(["--blocks"])
    source = capsys.readouterr().out
    environment = {name: v for name, v in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "bfc.engine.compiled", "--blocks", "--assembly"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "def take_steps(" in source and ".target sm_90a" in shown.stdout
    assert shown.stdout.count("bar.sync") >= source.count("tl.debug_barrier()") > 0


def test_the_device_decides_what_code_is_for():
    assert choose_hardware(torch.device("cpu")).group_size(torch.float64) > 1
    assert choose_hardware(torch.device("cuda")).group_size(torch.float64) == 1
    with pytest.raises(CannotCompile, match="no compiled form for mps"):
        choose_hardware(torch.device("mps"))


def test_triton_is_not_imported_where_steps_are_compiled_for_a_cpu():
    code = """
import sys
from race_detector import detected_races
from dataclasses import replace
from compared_trainings import TRAININGS
from compiled_cases import SMALL
from bfc.engine.trainer import train
train(replace(SMALL, compile="always"), TRAININGS[:1])
assert "bfc.engine.compiled.machine" in sys.modules
print([name for name in sys.modules if name.partition(".")[0] == "triton"])
"""
    options = {"capture_output": True, "text": True, "check": True, "cwd": Path(__file__).parent}
    environment = {**os.environ, "BFC_CACHE": os.devnull}
    shown = subprocess.run([sys.executable, "-c", code], env=environment, **options)
    assert shown.stdout.splitlines()[-1] == "[]"
