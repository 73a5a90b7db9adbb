"""Cells that ask the scheduler for trainings: once, in several rounds, or in vain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from commands import assert_same_records
from compared_trainings import RECIPE

from bfc.engine.recipe import Recipe
from bfc.engine.scheduler import MeasureCell, run_fused
from bfc.engine.stack_request import StackRequest, TrainResult, train_stack
from bfc.engine.state import State
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Training

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
    ends = run_fused([asking(*other) for other in others])
    assert {end.stack for end in ends} == {sum(len(trainings) for _, trainings, _ in others)}, ends
    for end, other in zip(ends, others, strict=True):
        assert_same_records(end, run_alone(asking(*other)))


def rounds(recipe: Recipe, count: int) -> MeasureCell[list[int]]:
    """A cell that asks again and again."""
    return lambda train: [
        asking(recipe, [Training(20, seed)])(train).stack for seed in range(count)
    ]


class Broken(Teacher):
    """A target that cannot be drawn."""

    def draw(self, seeds, dtype=torch.float32, device="cpu"):
        if list(seeds) != [0]:
            raise ValueError("no such rows")
        return super().draw(seeds, dtype, device)


BROKEN = replace(RECIPE, target=Broken(d=5, L=3, widths=(3, 2)))


def full(state: State, done: int, seconds: float) -> None:
    raise OSError("disk is full")
