"""Generated code takes the steps that the plain path takes, replica by replica."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import pytest
import torch
from compared_trainings import LAYERWISE, RECIPE, STAGED, TRAININGS, fused, same_record
from compiled_cases import NOT_COMPILED, ONE_EACH, SMALL, compare, small_recipe
from engine_scenarios import PENALISED, SCENARIOS, UNTIL, WithOptionalParts
from llvmlite import binding as llvm

from bfc.engine.compiled import __main__ as compiled_main
from bfc.engine.compiled import choice, compilation, recorder
from bfc.engine.compiled.code import generate
from bfc.engine.compiled.lowering import lower
from bfc.engine.compiled.machine import Processor, processor, to_assembly
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.shapes import StepShapes
from bfc.engine.compiled.tracing import trace_step
from bfc.engine.state import State
from bfc.engine.trainer import Trainer
from bfc.learners.mlp import MLP
from bfc.optimizers.adam import Adam
from bfc.optimizers.sgd import SGD
from bfc.targets.parity import Parity
from bfc.tasks.classification import Classification
from bfc.types import Training

pytestmark = pytest.mark.usefixtures("steps_of_this_run")


@pytest.mark.exhaustive
def test_every_learner_schedule_and_optimizer_equals_the_plain_path(
    build, node, learner_target_schedule, optimizer_name
):
    learner, target, schedule = learner_target_schedule
    recipe = small_recipe(build, node, learner, target, schedule, optimizer_name)
    if (learner, target) in NOT_COMPILED:
        assert _execution(recipe) == "plain"
    else:
        compare(recipe)


@pytest.mark.parametrize("names", ONE_EACH, ids="-".join)
def test_a_case_of_every_learner_equals_the_plain_path(build, node, names):
    compare(small_recipe(build, node, *names), TRAININGS[:3])


def test_every_learner_is_compiled_or_known_not_to_be(learner_name):
    known = {names[0] for names in (*ONE_EACH, *NOT_COMPILED)}
    assert learner_name in known, f"add a case of {learner_name} to ONE_EACH or to NOT_COMPILED"


def _execution(recipe):
    return Trainer(replace(recipe, compile="always"), TRAININGS[:1]).state.execution


@pytest.mark.parametrize("learner, target", NOT_COMPILED)
def test_a_learner_without_a_compiled_form_runs_plain_and_says_why(
    build, node, learner, target, capsys
):
    choice._say_once.cache_clear()
    sizes = {"conv_resnet": {"widths": [2, 2, 3]}, "resnet": {"width": 8, "inner": 8}}
    recipe = small_recipe(build, node, learner, target, "all", "sgd")
    recipe = replace(recipe, learner=build("learner", learner, **sizes.get(learner, {})))
    assert _execution(recipe) == "plain"
    reason = "its convolutions take the replicas for groups of channels"
    line = f"{type(recipe.learner).__name__}: runs operation by operation, since {reason}"
    assert capsys.readouterr().out.splitlines() == [line]


@pytest.mark.parametrize("loss", ["logistic", "hinge"])
def test_other_losses_equal_the_plain_path(loss):
    target = Classification(loss=loss, margin=0.0).wrap(Parity(d=6, law="gaussian"))
    compare(replace(SMALL, target=target))


@pytest.mark.exhaustive
@pytest.mark.parametrize("loss", ["logistic", "hinge"])
@pytest.mark.parametrize("names", ONE_EACH, ids="-".join)
def test_every_learner_equals_the_plain_path_with_other_losses(build, node, names, loss):
    recipe = small_recipe(build, node, *names)
    if recipe.target.outputs > 1:
        pytest.skip("has a loss of its own")
    target = Classification(loss=loss, margin=0.0).wrap(recipe.target)
    compare(replace(recipe, target=target), TRAININGS[:3])


@pytest.mark.parametrize("schedule", [PENALISED, UNTIL], ids=["penalised", "until"])
def test_the_optional_parts_of_a_learner_equal_the_plain_path(schedule):
    compare(replace(RECIPE, learner=WithOptionalParts(), schedule=schedule))


def test_a_phase_ends_on_the_training_loss_as_on_the_plain_path():
    until = replace(SMALL.schedule, phases=(replace(LAYERWISE.phases[0], until=0.9),))
    records = compare(replace(SMALL, schedule=replace(until, steps=48)))
    assert len({record["steps"] for record in records}) > 1


SAMPLED = ("fresh data", "epochs, a batch above n", "tight clip, momentum")


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_equal_the_plain_path(name, request):
    if name not in SAMPLED and not request.config.getoption("--exhaustive"):
        pytest.skip("only with --exhaustive")
    changes, trainings = SCENARIOS[name]
    compare(replace(RECIPE, **changes), trainings)


def test_a_replica_gets_the_same_bits_in_any_group_and_lane():
    trainings = [Training(n, seed) for seed in range(7) for n in (20, 40, 60)]
    recipe = replace(SMALL, compile="always")
    records, state = fused(recipe, trainings)
    for i in (0, 9, 20):
        alone, state_alone = fused(recipe, trainings[i : i + 1])
        same_record(alone[0], records[i])
        assert all(
            torch.equal(state_alone.params[name][0], p[i]) for name, p in state.params.items()
        )


def test_rates_per_replica_and_lanes_that_end_early_equal_the_plain_path():
    schedule = replace(LAYERWISE, steps=24, check_every=2, patience=1)
    recipe = replace(SMALL, schedule=schedule, optimizer=SGD(lr=0.4, batch=8, warmup=1))
    rates = torch.tensor([0.01, 0.1, 0.4, 0.8] * 5, dtype=torch.float64)
    trainings = [Training(n, seed) for seed in range(10) for n in (8, 200)]
    records = compare(recipe, trainings, rates=rates)
    assert len({record["steps"] for record in records}) > 3


def test_a_lane_that_diverges_touches_no_other():
    optimizer = SGD(lr=0.1, batch=8, warmup=1, clip=None)
    learner = MLP(widths=(3,), activation="quadratic")
    recipe = replace(SMALL, optimizer=optimizer, learner=learner, compile="always")
    rates = torch.tensor([0.01, 1e30, 0.01], dtype=torch.float64)
    records, state = fused(recipe, TRAININGS[:3], rates=rates)
    calm, expected = fused(recipe, TRAININGS[:3], rates=torch.full_like(rates, 0.01))
    assert records[1]["diverged"] and math.isnan(records[1]["risk"])
    for i in (0, 2):
        same_record(records[i], calm[i])
        assert all(torch.equal(expected.params[n][i], p[i]) for n, p in state.params.items())


@pytest.mark.parametrize("execution", ["compiled", "plain"])
def test_a_checkpoint_names_its_code_and_resumes_on_it_bit_for_bit(execution):
    """Whatever the configuration says when it goes on."""
    mode, other = ("always", "never") if execution == "compiled" else ("never", "always")
    states = []
    whole, last = fused(
        replace(SMALL, compile=mode),
        TRAININGS,
        on_chunk=lambda state, done, total: states.append(state.copy().tensors()),
    )
    assert states[0]["execution"] == execution
    resumed, again = fused(replace(SMALL, compile=other), TRAININGS, resume=states[0])
    assert again.execution == execution
    assert str(resumed) == str(whole)
    assert all(torch.equal(again.params[name], p) for name, p in last.params.items())


def test_a_state_of_an_earlier_version_is_plain():
    tensors = Trainer(SMALL, TRAININGS).state.tensors()
    del tensors["execution"]
    assert State(**tensors).execution == "plain"


def test_a_stack_compiles_by_itself_where_it_gains():
    many = [Training(40, seed) for seed in range(8)]
    long = replace(SMALL, compile="auto", schedule=replace(SMALL.schedule, steps=10_000))
    assert Trainer(long, many).state.execution == "compiled"
    assert Trainer(replace(SMALL, compile="auto"), many).state.execution == "plain"
    wide = replace(long, learner=MLP(widths=(512, 512)))
    assert Trainer(wide, many).state.execution == "plain"


def test_larger_networks_are_compiled_from_more_replicas_on():
    """A group takes as long with idle lanes."""
    long = replace(SMALL, compile="auto", schedule=replace(SMALL.schedule, steps=10**6))
    fewest = []
    for parameters in (20, 2_000, 20_000):
        recipe = replace(long, optimizer=SGD(batch=64))
        gaining = [r for r in range(1, 65) if choice.expects_code(recipe, parameters, r)]
        assert gaining == list(range(gaining[0], 65))
        fewest.append(gaining[0])
    assert fewest == sorted(fewest) and fewest[0] == 1 < fewest[-1] <= choice.GROUP
    large_batch = replace(long, optimizer=SGD(batch=4096))
    assert not choice.may_compile(large_batch, 20_000)
    assert not choice.expects_code(large_batch, 20_000, 64)


def test_few_replicas_are_compiled_where_their_steps_are_many():
    """A plain step of one takes about as long as one of eight, so it is steps that count."""
    auto = replace(SMALL, compile="auto", optimizer=SGD(batch=16))

    def fewest_steps(parameters, replicas):
        for steps in range(500, 100_000, 500):
            recipe = replace(auto, schedule=replace(auto.schedule, steps=steps))
            if choice.expects_code(recipe, parameters, replicas):
                return steps
        return math.inf

    assert fewest_steps(20, 1) == fewest_steps(20, 8) == 2000
    assert fewest_steps(20, 32) == 500
    assert fewest_steps(14_000, 1) > 4 * fewest_steps(20, 1)  # of which code saves little
    assert fewest_steps(16_000, 1) == math.inf


def test_without_llvmlite_the_plain_path_is_taken(monkeypatch, capsys):
    """Asked for or not, and where a checkpoint was written by generated code."""
    choice._say_once.cache_clear()
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    monkeypatch.delitem(sys.modules, "bfc.engine.compiled.machine")
    monkeypatch.setattr(compilation, "_steps", {})
    assert not choice.may_compile(replace(SMALL, compile="auto"), 20)
    assert _execution(SMALL) == "plain"
    assert "since a package is missing (" in capsys.readouterr().out
    state = Trainer(replace(SMALL, compile="never"), TRAININGS[:1]).state.tensors()
    _, resumed = fused(SMALL, TRAININGS[:1], resume={**state, "execution": "compiled"})
    assert resumed.execution == "plain"


def test_on_an_unknown_processor_the_plain_path_is_taken(monkeypatch, capsys):
    choice._say_once.cache_clear()

    def unknown(device):
        raise CannotCompile("this processor (example) has neither AVX2 nor NEON")

    monkeypatch.setattr(compilation, "hardware", unknown)
    monkeypatch.setattr(compilation, "_steps", {})
    assert _execution(SMALL) == "plain"
    assert "this processor (example)" in capsys.readouterr().out


AVX2 = Processor("", "haswell", "+avx2,+fma", 256, 16)


@pytest.mark.parametrize("dtype, lanes", [(torch.float32, 8), (torch.float64, 4)])
def test_code_for_narrower_registers_equals_the_plain_path(monkeypatch, dtype, lanes):
    present = processor()
    if not present.triple.startswith("x86_64"):
        pytest.skip("needs a processor with AVX2")
    narrow = replace(AVX2, triple=present.triple)
    assert narrow.lanes(dtype).count == lanes
    monkeypatch.setattr(compilation, "hardware", lambda device: narrow)
    monkeypatch.setattr(compilation, "_steps", {})
    compare(replace(SMALL, dtype=dtype), tolerance=1e-9 if dtype == torch.float64 else 1e-4)


def test_there_is_code_for_neon():
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    neon = Processor("aarch64-linux-gnu", "generic", "+neon", 128, 32)
    stack = Trainer(SMALL, TRAININGS[:1])
    trained = [name for group in stack.stages[0].train for name in stack.groups[group]]
    shapes = StepShapes.of(SMALL, stack.state.params, trained, False)
    program = lower(trace_step(SMALL, stack.stages[0], shapes), shapes, SMALL.dtype)
    code = generate(program, shapes, neon.lanes(SMALL.dtype), neon.registers, False)
    assert "fmla\tv" in to_assembly(code.text, neon)


def test_a_function_that_looks_at_a_number_is_refused():
    with pytest.raises(CannotCompile, match="looks at the numbers"):
        recorder.record(lambda x: x * float(x.sum()), {"x": torch.ones(2, 3)})


@pytest.mark.parametrize(
    "options, text", [([], 'define void @"take_steps"'), (["--assembly"], "take_steps:")]
)
def test_the_smallest_example_is_shown(options, text, capsys):
    compiled_main.main(options)
    shown = capsys.readouterr().out
    assert "torch.ops.aten.baddbmm" in shown and "map of a product" in shown and text in shown


def test_what_cannot_be_shown_is_a_sentence(monkeypatch, capsys):
    def unknown():
        raise CannotCompile("this processor (example) has neither AVX2 nor NEON")

    monkeypatch.setattr(compiled_main, "processor", unknown)
    monkeypatch.setitem(sys.modules, "triton", None)
    for options, sentence in (
        ([], "this processor (example) has neither AVX2 nor NEON"),
        (["--blocks"], "--blocks: the package triton is not installed; pip install 'bfc[blocks]'"),
    ):
        with pytest.raises(SystemExit):
            compiled_main.main(options)
        assert capsys.readouterr().err == f"{sentence}\n"


def test_adam_in_single_precision_agrees_to_rounding():
    recipe = replace(SMALL, dtype=torch.float32, optimizer=Adam(lr=0.01, batch=16, warmup=3))
    compare(recipe, tolerance=1e-4)


def test_the_scenarios_that_run_by_default_exist():
    assert set(SAMPLED) <= set(SCENARIOS)
    assert STAGED.steps * 2 <= 50
