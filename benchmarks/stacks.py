"""Replica-steps per CPU-second against the stack's size R for networks of many sizes, beside the
size that :mod:`bfc.engine.stack_size` chooses from shapes alone: how much of the best rate the rule
gets.

    python -m benchmarks.stacks [--seconds 0.3] [--json FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.record import RESULTS, Aim, finish
from benchmarks.training import CPU, SCHEDULE, N, fused, sgd, speed
from bfc.engine.recipe import Recipe
from bfc.engine.stack_size import stack_size, step_bytes
from bfc.engine.trainer import Trainer
from bfc.learners.mean_field import MeanField
from bfc.learners.mlp import MLP
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.optimizers.base import Optimizer
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.targets.radial import Radial
from bfc.types import Learner, Target, Training

SIZES = (1, 2, 4, 8, 16, 32)
NETWORKS: dict[str, tuple[Target, Learner, Optimizer]] = {
    **{
        f"perceptron {'-'.join(map(str, (32, *widths)))}, batch {batch}": (
            Parity(d=32, law="gaussian"),
            MLP(widths=widths),
            sgd(0.01, batch),
        )
        for widths in ((64, 64), (128, 128), (256, 256), (512,), (512, 512))
        for batch in (64, 256)
    },
    **{
        f"mean-field 100-{m1}-128, batch 512": (
            Radial(d=100),
            MeanField(m1=m1, m2=128),
            sgd(0.2, 512),
        )
        for m1 in (128, 512)
    },
    "quadratic, d = 32, L = 4": (
        Teacher(d=32, L=4, widths=(4, 3, 2)),
        QuadraticDenseNet(),
        Adam(lr=0.01, batch=256),
    ),
    "quadratic, d = 128, 8 and 4 features": (
        Teacher(d=128, L=3, widths=(8, 4)),
        QuadraticDenseNet(),
        Adam(lr=0.01, batch=256),
    ),
    "quadratic, d = 32, 12 and 8 features": (
        Teacher(d=32, L=3, widths=(4, 2)),
        QuadraticDenseNet(widths=(12, 8)),
        Adam(lr=0.01, batch=256),
    ),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.3, help="CPU time per network and size")
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    table = Table(
        "network",
        "MB a step",
        *(f"R = {size}" for size in SIZES),
        "chosen",
        "of the best",
        title="Replica-steps per CPU-second",
    )
    rows = []
    for name, (target, learner, optimizer) in NETWORKS.items():
        recipe = Recipe(target, learner, SCHEDULE, optimizer, test=16)
        chosen = stack_size(recipe, True)
        rates = {
            size: speed(
                fused(Trainer(recipe, [Training(N, seed) for seed in range(size)], None, None)),
                options.seconds,
                CPU,
            )
            for size in sorted({*SIZES, chosen})
        }
        rows.append(
            {
                "network": name,
                "bytes": step_bytes(recipe, True),
                "rates": {str(size): rate for size, rate in rates.items()},
                "chosen": chosen,
                "of_best": rates[chosen] / max(rates.values()),
            }
        )
        table.add_row(
            name,
            f"{rows[-1]['bytes'] / 1e6:.2f}",
            *(f"{rates[size]:,.0f}" for size in SIZES),
            str(chosen),
            f"{rows[-1]['of_best']:.2f}",
        )
    Console(width=150).print(table)
    worst = min(rows, key=lambda row: row["of_best"])
    print(f"worst: {worst['network']}")
    finish(
        "stacks",
        {"rows": rows},
        [Aim("rate at the chosen stack size / the best, worst network", worst["of_best"], 0.8)],
        options.json,
    )


if __name__ == "__main__":
    main()
