"""Cells in common stacks when something fails or is to stop.

A failure stays with its cell, and a request to stop reaches all.
"""

from __future__ import annotations

import copy
import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch
from commands import assert_same_records
from compared_trainings import TARGET
from scheduled_cells import (
    BROKEN,
    POOLED,
    RECIPE,
    asking,
    full,
    nothing,
    rounds,
    run_alone,
)

from bfc import stop_signals
from bfc.engine import trainer as loop
from bfc.engine.recipe import Recipe
from bfc.engine.scheduler import MeasureCell, run_fused
from bfc.engine.stack_request import StackRequest, TrainResult, TrainStack
from bfc.engine.state import State


def test_a_failure_stays_with_its_cell():
    want = run_alone(asking(RECIPE, POOLED))
    ends = run_fused(
        [asking(RECIPE, POOLED), asking(RECIPE, POOLED, on_chunk=full), asking(RECIPE, POOLED)]
    )
    assert isinstance(ends[1], OSError) and [end.stack for end in (ends[0], ends[2])] == [9, 9]
    assert_same_records(ends[0], want)
    ends = run_fused(
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

    ends = run_fused([run(0), run(1)])
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
    ends = run_fused(
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
        run_fused([keeping(k) for k in range(3)])
    assert stored == [(1, 3), (2, 3)]


def test_a_state_that_cannot_be_read_again_is_a_failure_of_its_cell():
    def unreadable() -> State:
        raise OSError("cannot be read")

    def run(train: TrainStack) -> TrainResult:
        rates = torch.full((3,), 0.01, dtype=torch.float64)
        return train(StackRequest(RECIPE, POOLED, rates, 1000, nothing, None, unreadable))

    ends = run_fused([asking(BROKEN, POOLED), run, asking(RECIPE, POOLED)])
    assert [type(end).__name__ for end in ends] == ["ValueError", "OSError", "TrainResult"]


def test_a_stop_while_they_go_on_by_themselves_is_heard_by_all():
    heard = []

    def stop(state: State, done: int, seconds: float) -> None:
        heard.append(len(state.records))
        raise stop_signals.Stopped("SIGTERM")

    with pytest.raises(stop_signals.Stopped):
        run_fused(
            [asking(BROKEN, POOLED), *(asking(RECIPE, POOLED, on_chunk=stop) for _ in range(3))]
        )
    assert heard == [3], "others were still trained"


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
            run_fused(
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
        ends = run_fused(
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
        run_fused([watched(RECIPE), watched(replace(RECIPE, longer=2)), watched(RECIPE)])
    assert sorted(ended) == [1, 1, 2]
