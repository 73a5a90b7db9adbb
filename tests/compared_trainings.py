"""Small trainings, and how a fused training is compared with the plain loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from plain_loop import plain_train
from torch import Tensor

from bfc.engine.recipe import Recipe
from bfc.engine.state import State
from bfc.engine.trainer import train
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.schedules import Phase, Schedule
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Training

TARGET = Teacher(d=5, L=3, widths=(3, 2))
STAGED = Schedule(
    (Phase(("level{2..l}", "bias"), "level{l}", "level"),), "staged", steps=12, check_every=5
)
LAYERWISE = replace(STAGED, phases=(Phase(("level{l}", "bias"), "level{l}", "level"),))
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
TRAININGS = (Training(20, 0), Training(60, 1), Training(33, 0), Training(60, 2**40))


# ---- helpers -----------------------------------------------------------------------------------


def fused(recipe: Recipe, trainings: Any, **kwargs: Any) -> tuple[list[dict[str, Any]], State]:
    """Records and the final state."""
    last: list[State] = []
    inner: Callable | None = kwargs.pop("on_chunk", None)

    def keep(state: State, done: int, total: int) -> None:
        last[:] = [state]
        if inner:
            inner(state, done, total)

    return train(recipe, list(trainings), on_chunk=keep, **kwargs), last[0]


def same_record(actual: dict[str, Any], expected: dict[str, Any], tolerance: float = 1e-9) -> None:
    assert set(actual) == set(expected)
    for name, expected_value in expected.items():
        if isinstance(expected_value, float):
            assert actual[name] == pytest.approx(
                expected_value, rel=tolerance, abs=tolerance, nan_ok=True
            ), name
        elif isinstance(expected_value, list):
            assert [step for step, _ in actual[name]] == [step for step, _ in expected_value]
            assert [risk for _, risk in actual[name]] == pytest.approx(
                [risk for _, risk in expected_value], rel=tolerance
            )
        else:
            assert actual[name] == expected_value, name


def same_params(
    actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-9
) -> None:
    assert set(actual) == set(expected)
    for name, expected_value in expected.items():
        torch.testing.assert_close(
            actual[name],
            expected_value,
            rtol=tolerance,
            atol=tolerance,
            msg=lambda text, name=name: f"{name}: {text}",
        )


def equals_plain(
    recipe: Recipe, trainings: Any, rates: Tensor | None = None
) -> list[dict[str, Any]]:
    records, state = fused(recipe, trainings, rates=rates)
    assert sum(stage.steps for stage in recipe.stages()) <= 50, (
        "longer runs agree in distribution only"
    )
    for i, training in enumerate(trainings):
        want = plain_train(recipe, training, None if rates is None else float(rates[i]))
        same_record(records[i], want.record)
        same_params({name: p[i] for name, p in state.params.items()}, want.params)
    return records
