"""What things cost: seconds of an optimizer step against the number of replicas R, the parameters
and the batch, of a kernel's curve against n and d; the coefficients of the model that ``bfc plan``
predicts with (:mod:`bfc.experiment.cost`) fitted to them, beside those that are built in, and how
far the model is off.

    python -m benchmarks.cost [--seconds 0.3] [--json FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.optimize import least_squares

from benchmarks.record import RESULTS, Aim, finish
from benchmarks.training import SCHEDULE
from bfc.baselines.kernels import NTK, Polynomial
from bfc.engine.recipe import Recipe
from bfc.engine.signature import signature
from bfc.engine.stack_size import stack_size
from bfc.engine.trainer import Trainer
from bfc.experiment import cost
from bfc.learners.mlp import MLP
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Training

NETWORKS = {
    "quadratic, d = 16, L = 3": (Teacher(d=16, L=3, widths=(4, 2)), QuadraticDenseNet()),
    "quadratic, d = 64, L = 4": (Teacher(d=64, L=4, widths=(4, 3, 2)), QuadraticDenseNet()),
    "perceptron 32-64-64": (Parity(d=32, law="gaussian"), MLP(widths=(64, 64))),
    "perceptron 32-512": (Parity(d=32, law="gaussian"), MLP(widths=(512,))),
}
REPLICAS, BATCHES, SIZES, WIDTHS = (1, 8, 32), (64, 256), (500, 1000, 2000), (8, 32)
TEST, CHUNK = 1024, 20


def steps(seconds: float) -> list[dict[str, Any]]:
    """CPU seconds per optimizer step of a stack, up to the size that a cell's stacks have."""
    rows = []
    for (name, (target, learner)), replicas, batch in itertools.product(
        NETWORKS.items(), REPLICAS, BATCHES
    ):
        recipe = Recipe(target, learner, SCHEDULE, Adam(batch=batch), test=16)
        if replicas > stack_size(recipe, True):
            continue
        own = Trainer(recipe, [Training(512, seed) for seed in range(replicas)], None, None)
        index, done = list(range(replicas)), 0
        own.train_chunk(index, own.stages[0], CHUNK)
        began = time.process_time()
        while time.process_time() - began < seconds:
            own.train_chunk(index, own.stages[0], CHUNK)
            done += CHUNK
        rows.append(
            {
                "network": name,
                "parameters": signature(learner, target).num_parameters,
                "replicas": replicas,
                "batch": batch,
                "seconds": (time.process_time() - began) / done,
            }
        )
    return rows


def curves() -> list[dict[str, Any]]:
    """CPU seconds of a whole learning curve of one seed."""
    rows = []
    for baseline, n, d in itertools.product((Polynomial, NTK), SIZES, WIDTHS):
        began = time.process_time()
        baseline(ridge=1e-3, n_max=n).curve(Parity(d=d), 0, TEST, {"ridge": 1e-3})
        rows.append(
            {"baseline": baseline.__name__, "n": n, "d": d, "seconds": time.process_time() - began}
        )
    return rows


def relative_fit(columns: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients > 0 of the columns that minimise the squared logarithm of predicted over
    measured, and that ratio per row."""
    start = np.log(np.median(seconds[:, None] / columns, axis=0) / columns.shape[1])
    found = least_squares(lambda log: np.log(columns @ np.exp(log) / seconds), start)
    return np.exp(found.x), columns @ np.exp(found.x) / seconds


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.3, help="CPU time per row")
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    trained, computed = steps(options.seconds), curves()
    work = np.array(
        [
            [1.0, r["replicas"] * r["batch"], r["replicas"] * r["batch"] * r["parameters"]]
            for r in trained
        ]
    )
    (step, of_row, unit), trained_ratio = relative_fit(
        work, np.array([r["seconds"] for r in trained])
    )
    size = np.array([[r["n"] ** 3, r["n"] * (r["n"] + TEST)] for r in computed], dtype=float)
    (cube, square), computed_ratio = relative_fit(size, np.array([r["seconds"] for r in computed]))
    table = Table(
        "network",
        "R",
        "batch",
        "ms per step",
        "us per replica-step",
        "model / measured",
        title="Training",
    )
    for row, ratio in zip(trained, trained_ratio, strict=True):
        row["model_over_measured"] = float(ratio)
        table.add_row(
            row["network"],
            str(row["replicas"]),
            str(row["batch"]),
            f"{1e3 * row['seconds']:.2f}",
            f"{1e6 * row['seconds'] / row['replicas']:.0f}",
            f"{ratio:.2f}",
        )
    Console().print(table)
    table = Table(
        "kernel",
        "n",
        "d",
        "seconds",
        "model / measured",
        title=f"Learning curve of one seed, {TEST} test rows",
    )
    for row, ratio in zip(computed, computed_ratio, strict=True):
        row["model_over_measured"] = float(ratio)
        table.add_row(
            row["baseline"], str(row["n"]), str(row["d"]), f"{row['seconds']:.2f}", f"{ratio:.2f}"
        )
    Console().print(table)
    fitted = {"STEP": step, "ROW": of_row, "WORK": unit, "CUBE": cube, "SQUARE": square}
    print(
        "fitted here: "
        + ", ".join(
            f"{name} {value:.2g} (built in {getattr(cost, name):.2g})"
            for name, value in fitted.items()
        )
    )
    off = {
        name: float(np.exp(np.quantile(np.abs(np.log(ratios)), 0.9)))
        for name, ratios in (("training", trained_ratio), ("curve", computed_ratio))
    }
    figures = {
        "coefficients": {name: float(value) for name, value in fitted.items()},
        "training": trained,
        "curves": computed,
    }
    aims = [
        Aim(f"model of a {name} off by a factor, 9 rows in 10", factor, 2.0, at_most=True)
        for name, factor in off.items()
    ]
    finish("cost", figures, aims, options.json)


if __name__ == "__main__":
    main()
