"""Cells of one signature fused in common stacks, against the same cells one after another.

Whole cells are timed, with their checks and test risks, and their ratio is taken in one run. The
cells are those of a sweep over the coefficients of the chain.

    python -m benchmarks.fusion [--device cuda] [--cells 16] [--trainings 8 32] [--json FOLDER]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import RESULTS, Aim, finish
from benchmarks.walls import clock
from bfc.engine.recipe import Recipe
from bfc.engine.scheduler import MeasureCell, run_fused
from bfc.engine.stack_request import StackRequest, TrainResult, train_stack
from bfc.engine.stack_size import stack_size
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.schedules import Phase, Schedule
from bfc.targets.quadratic_densenet import QuadraticDenseNet as QuadraticTarget
from bfc.types import Training

SCHEDULE = Schedule(
    (Phase(("level{2..l}", "bias"), "level{l}", "level"),), "staged", steps=300, check_every=50
)
SIZES = (256, 512, 1024, 2048)


def make_recipe(alpha: float, device: torch.device) -> Recipe:
    """A recipe of the sweep: level l of its target has the coefficient alpha^(l - 2)."""
    target = QuadraticTarget(d=32, L=4, widths=(4, 3, 2), alpha=(1.0, alpha, alpha**2))
    return Recipe(
        target, QuadraticDenseNet(), SCHEDULE, Adam(lr=0.01), "inside", test=4096, device=device
    )


def cell(recipe: Recipe, trainings: int) -> MeasureCell[TrainResult]:
    """A cell that trains its sizes times seeds and returns the result."""
    chosen = [Training(SIZES[i % len(SIZES)], i // len(SIZES)) for i in range(trainings)]
    rates = torch.full((trainings,), recipe.optimizer.lr, dtype=torch.float64)
    size = stack_size(recipe, True)
    request = StackRequest(recipe, chosen, rates, size, lambda state, done, seconds: None)
    return lambda train: train(request)


def run_apart(recipes: Sequence[Recipe], trainings: int) -> list[TrainResult]:
    """The cells one after another, each in stacks of its own."""
    return [cell(recipe, trainings)(train_stack) for recipe in recipes]


def run_in_common(recipes: Sequence[Recipe], trainings: int) -> list[TrainResult]:
    """The cells at the same time in common stacks; raises the first failure."""
    results: list[TrainResult] = []
    for result in run_fused([cell(recipe, trainings) for recipe in recipes]):
        if isinstance(result, Exception):
            raise result
        results.append(result)
    return results


def median_risk(results: Sequence[TrainResult]) -> float:
    risks: list[float] = []
    for result in results:
        risks += [record["risk"] for record in result.records]
    return statistics.median(risks)


def measure(cells: int, trainings: int, device: torch.device) -> dict[str, Any]:
    """Seconds of both ways, after a warm-up."""
    recipes = [make_recipe(1.0 / (1 + i), device) for i in range(cells)]
    run_apart(recipes[:1], trainings)
    start = clock(device)
    apart = run_apart(recipes, trainings)
    middle = clock(device)
    in_common = run_in_common(recipes, trainings)
    end = clock(device)
    steps = cells * trainings * sum(stage.steps for stage in recipes[0].stages())
    return {
        "cells": cells,
        "trainings": trainings,
        "apart_s": middle - start,
        "beside_s": end - middle,
        "stack": in_common[0].stack,
        "apart_rate": steps / (middle - start),
        "beside_rate": steps / (end - middle),
        "ratio": (middle - start) / (end - middle),
        "apart_risk": median_risk(apart),
        "beside_risk": median_risk(in_common),
    }


def check_agreement(device: torch.device) -> None:
    """Both ways give the same risks in float64, where rounding errors do not grow.

    Raises AssertionError otherwise.
    """
    schedule = replace(SCHEDULE, steps=40)
    recipes = []
    for alpha in (1.0, 0.5):
        recipes.append(replace(make_recipe(alpha, device), dtype=torch.float64, schedule=schedule))
    apart, in_common = run_apart(recipes, 4), run_in_common(recipes, 4)
    for expected, result in zip(apart, in_common, strict=True):
        for want, got in zip(expected.records, result.records, strict=True):
            torch.testing.assert_close(got["risk"], want["risk"], rtol=1e-6, atol=0.0)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=16)
    parser.add_argument("--trainings", type=int, nargs="+", default=[8, 32], help="of a cell")
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    parser.add_argument(
        "--device", type=torch.device, default=torch.device("cpu"), help="cpu or cuda"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    check_agreement(options.device)
    rows = [measure(options.cells, trainings, options.device) for trainings in options.trainings]
    for row in rows:
        print(
            f"{row['cells']} cells of {row['trainings']}: {row['apart_s']:.1f} s apart, "
            f"{row['beside_s']:.1f} s in stacks of {row['stack']}, "
            f"{row['ratio']:.2f} times as fast ({row['beside_rate']:,.0f} replica-steps/s)"
        )
    least_ratio = 1.0 if options.device.type == "cpu" else 2.0
    aims = []
    for row in rows:
        name = (
            f"{row['cells']} cells of {row['trainings']} trainings, separate stacks / fused stack"
        )
        aims.append(Aim(name, row["ratio"], least_ratio))
    finish("beside", {"rows": rows}, aims, options.json, str(options.device))


if __name__ == "__main__":
    main()
