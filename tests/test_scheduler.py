"""Cells in common stacks: each gets the numbers that it gets in a stack of its own.

Tested for every learner on every target it accepts, in a stack with other noise, coefficients and
rates. Only trainings of one signature share a stack.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from commands import assert_same_records
from compared_trainings import STAGED, TARGET
from scheduled_cells import (
    BROKEN,
    FRESH,
    POOLED,
    RECIPE,
    alike,
    asking,
    rounds,
    run_alone,
)

from bfc.engine import data
from bfc.engine.concat_target import ConcatTarget
from bfc.engine.recipe import Recipe
from bfc.engine.scheduler import MeasureCell, run_as_completed, run_fused
from bfc.engine.stack_request import StackRequest, TrainResult, TrainStack
from bfc.engine.state import State, join
from bfc.experiment.checkpointed_training import CheckpointedTraining, TrainingRequest
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.optimizers.sgd import SGD
from bfc.probes.feature_error import FeatureError
from bfc.schedules import Phase, Schedule
from bfc.store.cells import Cell, Store
from bfc.tasks.classification import Classification
from bfc.tasks.regression import Regression
from bfc.types import Training


@pytest.mark.parametrize("trainings", [POOLED, FRESH], ids=["pooled", "fresh"])
def test_a_training_is_the_one_it_would_be_alone(pair, trainings):
    """Beside others of its target and of one that differs in its noise, at another rate."""
    learner, target = pair
    if trainings == FRESH and target.n_available is not None:
        pytest.skip("this target has a finite number of rows")
    phases = (
        Phase(tuple(group for group in learner.groups(target) if not group.startswith("readout"))),
    )
    recipe = Recipe(
        target,
        learner,
        Schedule(phases, "all", steps=9, check_every=4),
        Adam(batch=16, lr=1e-3, warmup=2),
        "none" if trainings == FRESH else "inside",
        0.25,
        test=64,
        dtype=torch.float64,
    )
    noisy = (
        replace(recipe, target=Regression(noise=0.3).wrap(target))
        if target.outputs == 1
        else recipe
    )
    alike(
        (recipe, trainings, None),
        (noisy, trainings, 3e-3),
        (recipe, [replace(trainings[0], seed=5)], 2e-3),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"probe": FeatureError(256, num_evals=4)},
        {"validation": "free", "validation_size": 9},
        {"validation": "none", "observe": (3, 20)},
        {"optimizer": SGD(lr=0.01, momentum=0.5, batch=8, warmup=1, sampling="epochs")},
        {"learner": QuadraticDenseNet(alpha="trained")},
    ],
    ids=str,
)
def test_targets_may_differ_in_their_coefficients(changes):
    others = [
        replace(RECIPE, target=replace(TARGET, alpha=alpha), **changes)
        for alpha in ((1.0, 0.5), (1.0, 2.0), (0.1, 1.0))
    ]
    alike(*((recipe, POOLED, lr) for recipe, lr in zip(others, (None, 0.01, 0.003), strict=True)))


def test_a_phase_that_ends_on_a_gap_ends_on_that_of_its_own_target():
    phases = (
        Phase(("level{l}", "bias"), "first", until="0.5 gap", each="2..2"),
        Phase(("level2", "level3", "bias")),
    )
    schedule = Schedule(phases, "gap", steps=60, check_every=5)
    recipe = replace(RECIPE, schedule=schedule, validation="none")
    others = [replace(recipe, target=replace(TARGET, alpha=(1.0, last))) for last in (2.0, 0.02)]
    trainings = [Training(200, 0), Training(200, 1)]
    alike(*((recipe, trainings, None) for recipe in others))
    steps = []
    for recipe in others:
        records = run_alone(asking(recipe, trainings)).records
        steps.append({record["steps"] for record in records})
    assert max(steps[0]) < min(steps[1]), "the wide gap ends no phase early"


def test_rows_that_no_pool_can_hold_are_the_same(monkeypatch):
    want = [
        run_alone(asking(replace(RECIPE, target=target), POOLED))
        for target in (TARGET, replace(TARGET, alpha=(1.0, 2.0)))
    ]
    monkeypatch.setattr(data, "POOL_BYTES", 0)
    ends = run_fused(
        [
            asking(replace(RECIPE, target=target), POOLED)
            for target in (TARGET, replace(TARGET, alpha=(1.0, 2.0)))
        ]
    )
    for end, other in zip(ends, want, strict=True):
        assert_same_records(end, other)


@pytest.mark.parametrize(
    "changes",
    [
        {"target": replace(TARGET, widths=(2, 2))},
        {"target": replace(TARGET, d=6)},
        {"schedule": replace(STAGED, steps=13)},
        {"optimizer": replace(RECIPE.optimizer, batch=8)},
        {"learner": QuadraticDenseNet(widths=(4, 4))},
        {"dtype": torch.float32},
        {"validation_size": 0.5},
        {"longer": 2},
        {"observe": (3,)},
        {"probe": FeatureError(128)},
        {"target": Classification().wrap(TARGET)},
    ],
    ids=str,
)
def test_what_has_another_shape_has_a_stack_of_its_own(changes):
    ends = run_fused(
        [
            asking(RECIPE, POOLED),
            asking(replace(RECIPE, **changes), POOLED),
            asking(RECIPE, POOLED[:2]),
        ]
    )
    assert [end.stack for end in ends] == [5, 3, 5]


def test_stacks_stay_within_what_the_device_holds():
    ends = run_fused([asking(RECIPE, POOLED, max_stack=7) for _ in range(5)])
    assert sorted(end.stack for end in ends) == [3, 6, 6, 6, 6]
    assert [end.stack for end in run_fused([asking(RECIPE, POOLED), asking(RECIPE, FRESH)])] == [
        3,
        2,
    ]


def test_seconds_are_shared_out():
    ends = run_fused([asking(RECIPE, POOLED[:1]), asking(RECIPE, POOLED)])
    assert ends[1].seconds == pytest.approx(3 * ends[0].seconds) and ends[0].seconds > 0


def test_runs_of_many_rounds_keep_together_as_long_as_they_last():
    assert run_fused(
        [rounds(RECIPE, 3), rounds(RECIPE, 1), rounds(replace(RECIPE, longer=2), 2)]
    ) == [[2, 1, 1], [2], [1, 1]]
    assert run_fused([]) == []


def test_ends_are_told_as_they_come():
    ends = run_as_completed([rounds(RECIPE, 3), rounds(RECIPE, 1), asking(BROKEN, POOLED)])
    order = [k for k, _ in ends]
    assert order.index(1) < order.index(0) and sorted(order) == [0, 1, 2]
    left = []

    def watched(train: TrainStack) -> None:
        try:
            asking(RECIPE, POOLED[:1])(train)
            asking(RECIPE, POOLED[:1])(train)
        finally:
            left.append(1)

    some = run_as_completed([rounds(RECIPE, 1), watched])
    assert next(some)[0] == 0
    some.close()
    assert left == [1], "who is not asked on is left open"


def test_a_state_is_that_of_its_parts():
    states: list[State] = []
    run_alone(
        asking(
            RECIPE,
            POOLED,
            on_chunk=lambda state, done, seconds: states.append(
                State(**copy.deepcopy(state.tensors()))
            ),
        )
    )
    for state in states:
        again = join([state.part(slice(0, 1)), state.part(slice(1, 3))])
        assert str(again.tensors()) == str(state.tensors())
        parts = [state.part(slice(i, i + 1)).steps_done(RECIPE.stages()) for i in range(3)]
        assert sum(parts) == state.steps_done(RECIPE.stages())


def test_a_joined_draw_is_the_draws_one_after_the_other():
    targets = (TARGET, replace(TARGET, alpha=(1.0, 2.0)))
    draw = ConcatTarget(targets, ((0, 3), (0, 4), (1, 3))).draw([0, 1, 2]).select([2, 0, 1, 1])
    assert draw.seeds == (3, 3, 4, 4) and draw.select([1]).seeds == (3,)
    rows = torch.arange(8).view(4, 2)
    x = draw.inputs("train", rows)
    for i, (target, seed) in enumerate(
        ((targets[1], 3), (targets[0], 3), (targets[0], 4), (targets[0], 4))
    ):
        single = target.draw([seed])
        assert torch.equal(x[i], single.inputs("train", rows[i : i + 1])[0]) and torch.equal(
            draw.labels(x)[i], single.labels(x[i : i + 1])[0]
        )
        assert draw.variance[i] == single.variance[0] and torch.equal(
            draw.revealed.scale[i], single.revealed.scale[0]
        )


def test_a_checkpoint_is_as_large_as_its_own_cell(tmp_path):
    """However large the stack that it was taken from."""
    sizes = []
    for count in (1, 8):
        cells = [Store(tmp_path / str(count)).cell(f"{k:016x}") for k in range(count)]
        last_state: dict[int, State] = {}
        stacks: list[int] = []

        def training_of(
            k: int,
            cell: Cell,
            count: int = count,
            last_state: dict[int, State] = last_state,
            stacks: list[int] = stacks,
        ) -> MeasureCell[None]:
            def measure(train: TrainStack) -> None:
                def watched(request: StackRequest) -> TrainResult:
                    def on_chunk(state: State, done: int, seconds: float) -> None:
                        request.on_chunk(state, done, seconds)
                        last_state[k] = state.copy()

                    result = train(replace(request, on_chunk=on_chunk))
                    again = request.load_state()
                    assert again is not None and str(again.tensors()) == str(
                        last_state[k].tensors()
                    )
                    sizes.append((count, (cell.path / "checkpoint.pt").stat().st_size))
                    stacks.append(result.stack)
                    return result

                cell.path.mkdir(parents=True)
                trainer = CheckpointedTraining(
                    cell, torch.device("cpu"), 1000, 0.0, watched, lambda done: None
                )
                trainer.run(
                    RECIPE, [TrainingRequest(training) for training in POOLED], lambda stack: None
                )

            return measure

        ends = run_fused([training_of(k, cell) for k, cell in enumerate(cells)])
        assert not any(isinstance(end, Exception) for end in ends), ends
        assert stacks == [3 * count] * count
    of_one_cell, *of_eight_cells = (size for _, size in sorted(sizes))
    assert len(of_eight_cells) == 8 and max(of_eight_cells) < 1.1 * of_one_cell
