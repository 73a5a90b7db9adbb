"""Cells of one shape side by side in common stacks, beside the same cells one after another in
stacks of their own: whole cells with their checks and test risks, as a ratio of one run. The cells
are those of a sweep over the coefficients of the chain.

    python -m benchmarks.beside [--device cuda] [--cells 16] [--trainings 8 32] [--json FOLDER]
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.record import RESULTS, Aim, finish
from benchmarks.walls import clock
from bfc.engine.recipe import Recipe
from bfc.engine.scheduler import MeasureCell, run_together
from bfc.engine.stack_request import StackRequest, TrainResult, train_stack
from bfc.engine.stack_size import stack_size
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.schedules import Phase, Schedule
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Training

SCHEDULE = Schedule(
    (Phase(("level{2..l}", "bias"), "level{l}", "level"),), "staged", steps=300, check_every=50
)
SIZES = (256, 512, 1024, 2048)


def recipe(alpha: float, device: torch.device) -> Recipe:
    target = Teacher(d=32, L=4, widths=(4, 3, 2), alpha=(1.0, alpha, alpha**2))
    return Recipe(
        target, QuadraticDenseNet(), SCHEDULE, Adam(lr=0.01), "inside", test=4096, device=device
    )


def cell(own: Recipe, trainings: int) -> MeasureCell[TrainResult]:
    """One cell's trainings: sizes times seeds."""
    wanted = [Training(SIZES[i % len(SIZES)], i // len(SIZES)) for i in range(trainings)]
    rates = torch.full((trainings,), own.optimizer.lr, dtype=torch.float64)
    return lambda train: train(
        StackRequest(own, wanted, rates, stack_size(own, True), lambda state, done, seconds: None)
    )


def measure(cells: int, trainings: int, device: torch.device) -> dict[str, float]:
    """Seconds of both ways, after a warm-up."""
    every = [recipe(1.0 / (1 + i), device) for i in range(cells)]
    cell(every[0], trainings)(train_stack)
    began = clock(device)
    apart = [cell(own, trainings)(train_stack) for own in every]
    middle = clock(device)
    beside = run_together([cell(own, trainings) for own in every])
    ended = clock(device)
    if failed := [end for end in beside if isinstance(end, Exception)]:
        raise failed[0]
    risks = [
        statistics.median(record["risk"] for end in ends for record in end.records)
        for ends in (apart, beside)
    ]
    steps = cells * trainings * sum(stage.steps for stage in every[0].stages())
    return {
        "cells": cells,
        "trainings": trainings,
        "apart_s": middle - began,
        "beside_s": ended - middle,
        "stack": beside[0].stack,
        "apart_rate": steps / (middle - began),
        "beside_rate": steps / (ended - middle),
        "ratio": (middle - began) / (ended - middle),
        "apart_risk": risks[0],
        "beside_risk": risks[1],
    }


def agree(device: torch.device) -> None:
    """In float64, where rounding does not grow into anything, risks are those of cells apart;
    raises AssertionError otherwise."""
    every = [
        replace(recipe(alpha, device), dtype=torch.float64, schedule=replace(SCHEDULE, steps=40))
        for alpha in (1.0, 0.5)
    ]
    for own, end in zip(every, run_together([cell(own, 4) for own in every]), strict=True):
        for want, found in zip(cell(own, 4)(train_stack).records, end.records, strict=True):
            torch.testing.assert_close(found["risk"], want["risk"], rtol=1e-6, atol=0.0)


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
    agree(options.device)
    rows = [measure(options.cells, trainings, options.device) for trainings in options.trainings]
    for row in rows:
        print(
            f"{row['cells']} cells of {row['trainings']}: {row['apart_s']:.1f} s apart, {row['beside_s']:.1f} s in stacks of "
            f"{row['stack']}, {row['ratio']:.2f} times as fast ({row['beside_rate']:,.0f} replica-steps/s)"
        )
    aims = [
        Aim(
            f"{row['cells']} cells of {row['trainings']} trainings, apart / side by side",
            row["ratio"],
            1.0 if options.device.type == "cpu" else 2.0,
        )
        for row in rows
    ]
    finish("beside", {"rows": rows}, aims, options.json, str(options.device))


if __name__ == "__main__":
    main()
