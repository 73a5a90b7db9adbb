"""What things cost, and how far the model of ``bfc plan`` is off.

Measured are the seconds of an optimizer step against the number of replicas R, the parameters and
the batch, and of a kernel's curve against n, d and the test rows. The coefficients of the model
(:mod:`bfc.experiment.cost`) are fitted to them and stand beside those that are built in.

    python -m benchmarks.cost [--seconds 0.3] [--json FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.optimize import least_squares

from benchmarks.cases import SCHEDULE, new_trainer
from benchmarks.record import RESULTS, Aim, finish
from bfc.baselines.kernels import NTK, Polynomial
from bfc.engine.compiled.choice import expects_code
from bfc.engine.recipe import Recipe
from bfc.engine.signature import signature
from bfc.engine.stack_size import stack_size
from bfc.experiment import cost
from bfc.learners.mlp import MLP
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet as QuadraticTarget

NETWORKS = {
    "quadratic, d = 16, L = 3": (QuadraticTarget(d=16, L=3, widths=(4, 2)), QuadraticDenseNet()),
    "quadratic, d = 64, L = 4": (QuadraticTarget(d=64, L=4, widths=(4, 3, 2)), QuadraticDenseNet()),
    "perceptron 32-64-64": (Parity(d=32, law="gaussian"), MLP(widths=(64, 64))),
    "perceptron 32-512": (Parity(d=32, law="gaussian"), MLP(widths=(512,))),
}
REPLICAS, BATCHES = (1, 8, 32), (64, 256)
SIZES, DIMENSIONS, TEST_ROWS = (500, 1000, 2000), (8, 32), (1024, 8192)
CHUNK = 20
BUILT_IN = {
    "STEP": cost.STEP,
    "ROW": cost.ROW,
    "WORK": cost.WORK,
    "COMPILED_STEP": cost.COMPILED_STEP,
    "COMPILED_ROW": cost.COMPILED_ROW,
    "COMPILED_WORK": cost.COMPILED_WORK,
    "CUBE": cost.CUBE,
    "SQUARE": cost.SQUARE,
}


def time_step(recipe: Recipe, replicas: int, seconds: float) -> float:
    """CPU seconds per optimizer step of a stack, after a warm-up."""
    trainer = new_trainer(recipe, replicas)
    index, done = list(range(replicas)), 0
    trainer.train_chunk(index, trainer.stages[0], CHUNK)
    start = time.process_time()
    while time.process_time() - start < seconds:
        trainer.train_chunk(index, trainer.stages[0], CHUNK)
        done += CHUNK
    return (time.process_time() - start) / done


def steps(seconds: float, compile: Literal["always", "never"]) -> list[dict[str, Any]]:
    """CPU seconds per optimizer step of a stack, up to the size that a cell's stacks have."""
    rows = []
    for name, replicas, batch in itertools.product(NETWORKS, REPLICAS, BATCHES):
        target, learner = NETWORKS[name]
        recipe = Recipe(target, learner, SCHEDULE, Adam(batch=batch), test=16, compile=compile)
        parameters = signature(learner, target).num_parameters
        is_compiled = replicas > 1 and expects_code(recipe, parameters, replicas)
        if replicas > stack_size(recipe, True) or is_compiled != (compile == "always"):
            continue
        rows.append(
            {
                "network": name,
                "parameters": parameters,
                "replicas": replicas,
                "batch": batch,
                "seconds": time_step(recipe, replicas, seconds),
            }
        )
    return rows


def curves() -> list[dict[str, Any]]:
    """CPU seconds of a whole learning curve of one seed."""
    rows = []
    settings = itertools.product((Polynomial, NTK), SIZES, DIMENSIONS, TEST_ROWS)
    for baseline, n, d, test in settings:
        start = time.process_time()
        baseline(ridge=1e-3, n_max=n).curve(Parity(d=d), 0, test, {"ridge": 1e-3})
        seconds = time.process_time() - start
        row = {"baseline": baseline.__name__, "n": n, "d": d, "test": test, "seconds": seconds}
        rows.append(row)
    return rows


def relative_fit(columns: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients > 0 of the columns, and predicted over measured per row.

    They minimise the sum of the squared logarithms of predicted over measured.
    """
    start = np.log(np.median(seconds[:, None] / columns, axis=0) / columns.shape[1])
    fit = least_squares(lambda log: np.log(columns @ np.exp(log) / seconds), start)
    return np.exp(fit.x), columns @ np.exp(fit.x) / seconds


def fit_model(rows: list[dict[str, Any]], columns: list[list[float]]) -> np.ndarray:
    """Fit the model and put its ratio to the measurement into the rows; the coefficients."""
    seconds = np.array([row["seconds"] for row in rows])
    coefficients, ratios = relative_fit(np.array(columns, dtype=float), seconds)
    for row, ratio in zip(rows, ratios, strict=True):
        row["model_over_measured"] = float(ratio)
    return coefficients


def fit_steps(rows: list[dict[str, Any]], group: int, prefix: str) -> dict[str, float]:
    """STEP, ROW and WORK: per step, per replica and row, and per replica, row and parameter.

    Replicas count in whole groups.
    """
    columns = []
    for row in rows:
        trained_rows = -(-row["replicas"] // group) * group * row["batch"]
        columns.append([1.0, trained_rows, trained_rows * row["parameters"]])
    step, per_row, work = fit_model(rows, columns)
    names = (f"{prefix}STEP", f"{prefix}ROW", f"{prefix}WORK")
    return dict(zip(names, map(float, (step, per_row, work)), strict=True))


def fit_curves(rows: list[dict[str, Any]]) -> dict[str, float]:
    """CUBE and SQUARE: per n^2 (n + 3 test) and per n (n + test)."""
    columns = []
    for row in rows:
        n, test = row["n"], row["test"]
        columns.append([n**2 * (n + 3 * test), n * (n + test)])
    cube, square = fit_model(rows, columns)
    return {"CUBE": float(cube), "SQUARE": float(square)}


def print_steps(title: str, rows: list[dict[str, Any]]) -> None:
    table = Table(
        *("network", "R", "batch", "ms per step", "us per replica-step", "model / measured"),
        title=title,
    )
    for row in rows:
        table.add_row(
            row["network"],
            str(row["replicas"]),
            str(row["batch"]),
            f"{1e3 * row['seconds']:.2f}",
            f"{1e6 * row['seconds'] / row['replicas']:.0f}",
            f"{row['model_over_measured']:.2f}",
        )
    Console().print(table)


def print_curves(rows: list[dict[str, Any]]) -> None:
    table = Table(
        *("kernel", "n", "d", "test rows", "seconds", "model / measured"),
        title="Learning curve of one seed",
    )
    for row in rows:
        table.add_row(
            row["baseline"],
            str(row["n"]),
            str(row["d"]),
            str(row["test"]),
            f"{row['seconds']:.2f}",
            f"{row['model_over_measured']:.2f}",
        )
    Console().print(table)


def factor_off(rows: list[dict[str, Any]]) -> float:
    """The factor within which the model is right for 9 rows in 10."""
    ratios = np.array([row["model_over_measured"] for row in rows])
    return float(np.exp(np.quantile(np.abs(np.log(ratios)), 0.9)))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.3, help="CPU time per row")
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    trained, compiled = steps(options.seconds, "never"), steps(options.seconds, "always")
    computed = curves()
    coefficients = {
        **fit_steps(trained, 1, ""),
        **fit_steps(compiled, cost.COMPILED_GROUP, "COMPILED_"),
        **fit_curves(computed),
    }
    print_steps("Training, operation by operation", trained)
    print_steps("Training, generated code", compiled)
    print_curves(computed)
    comparisons = []
    for name, value in coefficients.items():
        comparisons.append(f"{name} {value:.2g} (built in {BUILT_IN[name]:.2g})")
    print(f"fitted here: {', '.join(comparisons)}")
    aims = []
    measured = {"training": trained, "compiled training": compiled, "curve": computed}
    for name, rows in measured.items():
        text = f"model of a {name} off by a factor, 9 rows in 10"
        aims.append(Aim(text, factor_off(rows), 2.0, at_most=True))
    figures = {
        "coefficients": coefficients,
        "training": trained,
        "compiled": compiled,
        "curves": computed,
    }
    finish("cost", figures, aims, options.json)


if __name__ == "__main__":
    main()
