"""Cells in common stacks: each gets the numbers that it gets in a stack of its own.

Tested for every learner on every target it accepts, in a stack with other noise, coefficients and
rates. Only trainings of one signature share a stack. A failure stays with its cell, and a request
to stop reaches all.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from commands import assert_same_records

from bfc import stop_signals
from bfc.engine import data
from bfc.engine import trainer as loop
from bfc.engine.concat_target import ConcatTarget
from bfc.engine.recipe import Recipe
from bfc.engine.scheduler import MeasureCell, run_as_completed, run_together
from bfc.engine.stack_request import StackRequest, TrainResult, TrainStack, train_stack
from bfc.engine.state import State, join
from bfc.experiment.checkpointed_training import CheckpointedTraining, TrainingRequest
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.optimizers.sgd import SGD
from bfc.probes.feature_error import FeatureError
from bfc.schedules import Phase, Schedule
from bfc.store.cells import Cell, Store
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.tasks.classification import Classification
from bfc.tasks.regression import Regression
from bfc.types import Training

TARGET = Teacher(d=5, L=3, widths=(3, 2))
STAGED = Schedule(
    (Phase(("level{2..l}", "bias"), "level{l}", "level"),), "staged", steps=12, check_every=5
)
RECIPE = Recipe(
    TARGET,
    QuadraticDenseNet(),
    STAGED,
    Adam(lr=0.03, batch=16, warmup=3),
    "inside",
    0.25,
    test=256,
    dtype=torch.float64,
)
POOLED, FRESH = (
    [Training(20, 0), Training(60, 1), Training(33, 0)],
    [Training(0, 0), Training(0, 7)],
)


def nothing(state: State, done: int, seconds: float) -> None: ...


def asking(
    recipe: Recipe,
    trainings: Sequence[Training],
    lr: float | None = None,
    max_stack: int = 1000,
    on_chunk: Any = nothing,
    resume: State | None = None,
) -> MeasureCell[TrainResult]:
    rates = torch.full((len(trainings),), lr or recipe.optimizer.lr, dtype=torch.float64)
    return lambda train: train(StackRequest(recipe, trainings, rates, max_stack, on_chunk, resume))


def run_alone(cell: MeasureCell[TrainResult]) -> TrainResult:
    return cell(train_stack)


def alike(*others: tuple[Recipe, Sequence[Training], float | None]) -> None:
    """All of these share one stack, and each gets what it gets alone."""
    ends = run_together([asking(*other) for other in others])
    assert {end.stack for end in ends} == {sum(len(trainings) for _, trainings, _ in others)}, ends
    for end, other in zip(ends, others, strict=True):
        assert_same_records(end, run_alone(asking(*other)))


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
    ends = run_together(
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
    ends = run_together(
        [
            asking(RECIPE, POOLED),
            asking(replace(RECIPE, **changes), POOLED),
            asking(RECIPE, POOLED[:2]),
        ]
    )
    assert [end.stack for end in ends] == [5, 3, 5]


def test_stacks_stay_within_what_the_device_holds():
    ends = run_together([asking(RECIPE, POOLED, max_stack=7) for _ in range(5)])
    assert sorted(end.stack for end in ends) == [3, 6, 6, 6, 6]
    assert [end.stack for end in run_together([asking(RECIPE, POOLED), asking(RECIPE, FRESH)])] == [
        3,
        2,
    ]


def test_seconds_are_shared_out():
    ends = run_together([asking(RECIPE, POOLED[:1]), asking(RECIPE, POOLED)])
    assert ends[1].seconds == pytest.approx(3 * ends[0].seconds) and ends[0].seconds > 0


def rounds(recipe: Recipe, count: int) -> MeasureCell[list[int]]:
    """A cell that asks again and again."""
    return lambda train: [
        asking(recipe, [Training(20, seed)])(train).stack for seed in range(count)
    ]


def test_runs_of_many_rounds_keep_together_as_long_as_they_last():
    assert run_together(
        [rounds(RECIPE, 3), rounds(RECIPE, 1), rounds(replace(RECIPE, longer=2), 2)]
    ) == [[2, 1, 1], [2], [1, 1]]
    assert run_together([]) == []


class Broken(Teacher):
    """A target that cannot be drawn."""

    def draw(self, seeds, dtype=torch.float32, device="cpu"):
        if list(seeds) != [0]:
            raise ValueError("no such rows")
        return super().draw(seeds, dtype, device)


BROKEN = replace(RECIPE, target=Broken(d=5, L=3, widths=(3, 2)))


def full(state: State, done: int, seconds: float) -> None:
    raise OSError("disk is full")


def test_a_failure_stays_with_its_cell():
    want = run_alone(asking(RECIPE, POOLED))
    ends = run_together(
        [asking(RECIPE, POOLED), asking(RECIPE, POOLED, on_chunk=full), asking(RECIPE, POOLED)]
    )
    assert isinstance(ends[1], OSError) and [end.stack for end in (ends[0], ends[2])] == [9, 9]
    assert_same_records(ends[0], want)
    ends = run_together(
        [asking(BROKEN, POOLED), asking(RECIPE, POOLED), asking(BROKEN, POOLED, on_chunk=full)]
    )
    assert isinstance(ends[0], ValueError) and isinstance(ends[2], ValueError)
    assert_same_records(ends[1], want)
    with pytest.raises(OSError, match="full"):
        run_alone(asking(RECIPE, POOLED, on_chunk=full))


def test_where_a_common_stack_fails_late_each_goes_on_by_itself_from_what_it_kept(monkeypatch):
    """Memory gives out in a later phase: the failed stack is freed, and nothing is done twice."""
    want, made = run_alone(asking(RECIPE, POOLED)), []

    class Stack(loop.Trainer):
        def __init__(self, *given):
            super().__init__(*given)
            made.append(weakref.ref(self))

        def train_chunk(self, index, stage, length):
            assert sum(stack() is not None for stack in made) == 1, "a failed stack is still there"
            if len(self.trainings) > 3 and stage.name == "level3":
                raise torch.OutOfMemoryError("out of memory")
            super().train_chunk(index, stage, length)

    monkeypatch.setattr(loop, "Trainer", Stack)
    last_state: dict[int, State] = {}
    heard: dict[int, list[int]] = {0: [], 1: []}

    def keeping(k: int) -> Any:
        def on_chunk(state: State, done: int, seconds: float) -> None:
            heard[k].append(done)
            last_state[k] = state.copy()

        return on_chunk

    def run(k: int) -> MeasureCell[TrainResult]:
        rates = torch.full((3,), RECIPE.optimizer.lr, dtype=torch.float64)
        return lambda train: train(
            StackRequest(RECIPE, POOLED, rates, 1000, keeping(k), None, lambda: last_state[k])
        )

    ends = run_together([run(0), run(1)])
    assert [end.stack for end in ends] == [3, 3] and all(
        done == sorted(set(done)) for done in heard.values()
    )
    assert_same_records(ends, [want, want])


def test_what_fails_alone_leaves_nothing_behind(monkeypatch, capsys):
    """No stack outlives its failure; trainings of a failed stack are tried in smaller ones."""
    made: list[Any] = []

    class Stack(loop.Trainer):
        def __init__(self, *given):
            super().__init__(*given)
            assert not [stack for stack in made if stack() is not None], (
                "a failed stack is still there"
            )
            made.append(weakref.ref(self))

        def train_chunk(self, index, stage, length):
            if len(self.trainings) > 4 or self.recipe.target.alpha[1] == 9.0:
                raise torch.OutOfMemoryError("out of memory\nTried to allocate")
            super().train_chunk(index, stage, length)

    monkeypatch.setattr(loop, "Trainer", Stack)
    bad = replace(RECIPE, target=replace(TARGET, alpha=(1.0, 9.0)))
    ends = run_together(
        [asking(bad, POOLED[:2]), rounds(RECIPE, 3), asking(bad, POOLED[:2]), rounds(RECIPE, 2)]
    )
    assert [type(end).__name__ for end in ends] == [
        "OutOfMemoryError",
        "list",
        "OutOfMemoryError",
        "list",
    ]
    assert ends[1] == [1, 2, 1] and ends[3] == [1, 2]
    output = capsys.readouterr().out
    assert (
        output == "a stack of 6 trainings of 4 cells failed (OutOfMemoryError: out of memory); "
        "each goes on by itself\n"
    )


def test_what_was_trained_is_stored_before_a_stop(monkeypatch):
    """Records that wait for other cells are not lost when one cell stops during other work."""
    stored = []

    def keeping(k: int) -> MeasureCell[None]:
        def measure(train: TrainStack) -> None:
            trained = asking(RECIPE, POOLED)(train)
            if k == 0:
                raise KeyboardInterrupt
            stored.append((k, len(trained.records)))
            asking(RECIPE, POOLED)(train)

        return measure

    with pytest.raises(KeyboardInterrupt):
        run_together([keeping(k) for k in range(3)])
    assert stored == [(1, 3), (2, 3)]


def test_a_state_that_cannot_be_read_again_is_a_failure_of_its_cell():
    def unreadable() -> State:
        raise OSError("cannot be read")

    def run(train: TrainStack) -> TrainResult:
        rates = torch.full((3,), 0.01, dtype=torch.float64)
        return train(StackRequest(RECIPE, POOLED, rates, 1000, nothing, None, unreadable))

    ends = run_together([asking(BROKEN, POOLED), run, asking(RECIPE, POOLED)])
    assert [type(end).__name__ for end in ends] == ["ValueError", "OSError", "TrainResult"]


def test_a_stop_while_they_go_on_by_themselves_is_heard_by_all():
    heard = []

    def stop(state: State, done: int, seconds: float) -> None:
        heard.append(len(state.records))
        raise stop_signals.Stopped("SIGTERM")

    with pytest.raises(stop_signals.Stopped):
        run_together(
            [asking(BROKEN, POOLED), *(asking(RECIPE, POOLED, on_chunk=stop) for _ in range(3))]
        )
    assert heard == [3], "others were still trained"


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


def test_a_request_to_stop_is_heard_by_all_and_they_go_on():
    """Cells that are resumed from states of different steps end as if never interrupted."""
    targets = (TARGET, replace(TARGET, alpha=(1.0, 2.0)))
    want = [run_alone(asking(replace(RECIPE, target=target), POOLED)) for target in targets]
    for chunks in ((1, 1), (2, 4)):
        last_state: dict[int, State] = {}

        def on_chunk(
            k: int, last: int, seen: list[int], last_state: dict[int, State] = last_state
        ) -> Any:
            def keep(state: State, done: int, seconds: float) -> None:
                seen.append(done)
                if len(seen) <= last:
                    last_state[k] = State(**copy.deepcopy(state.tensors()))
                if k == 1 and len(seen) == last:
                    raise stop_signals.Stopped("SIGTERM")

            return keep

        seen: list[list[int]] = [[], []]
        with pytest.raises(stop_signals.Stopped):
            run_together(
                [
                    asking(
                        replace(RECIPE, target=target),
                        POOLED,
                        on_chunk=on_chunk(k, chunks[k], seen[k]),
                    )
                    for k, target in enumerate(targets)
                ]
            )
        assert len(seen[0]) == len(seen[1]) == chunks[1] and seen[0] == sorted(seen[0])
        ends = run_together(
            [
                asking(replace(RECIPE, target=target), POOLED, resume=last_state[k])
                for k, target in enumerate(targets)
            ]
        )
        assert [end.stack for end in ends] == [6, 6]
        assert_same_records(ends, want)


def test_whoever_waits_is_told_to_stop_too():
    ended = []

    def watched(recipe: Recipe) -> MeasureCell[None]:
        def measure(train: TrainStack) -> None:
            try:
                asking(recipe, POOLED, on_chunk=stop)(train)
            except stop_signals.Stopped:
                ended.append(recipe.longer)
                raise

        return measure

    def stop(state: State, done: int, seconds: float) -> None:
        raise stop_signals.Stopped("SIGUSR1")

    with pytest.raises(stop_signals.Stopped):
        run_together([watched(RECIPE), watched(replace(RECIPE, longer=2)), watched(RECIPE)])
    assert sorted(ended) == [1, 1, 2]


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

        ends = run_together([training_of(k, cell) for k, cell in enumerate(cells)])
        assert not any(isinstance(end, Exception) for end in ends), ends
        assert stacks == [3 * count] * count
    of_one_cell, *of_eight_cells = (size for _, size in sorted(sizes))
    assert len(of_eight_cells) == 8 and max(of_eight_cells) < 1.1 * of_one_cell
