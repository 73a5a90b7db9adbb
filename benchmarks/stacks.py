"""Replica-steps per CPU-second against the stack's size R, for networks of many sizes.

The size that :mod:`bfc.engine.stack_size` chooses from shapes alone is compared with the best of
those measured: how much of the best rate the rule gets.

    python -m benchmarks.stacks [--seconds 0.3] [--json FOLDER]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.cases import CPU, SCHEDULE, measure_rate, new_trainer, sgd, train_chunks
from benchmarks.record import RESULTS, Aim, finish
from bfc.engine.recipe import Recipe
from bfc.engine.stack_size import stack_size, step_bytes
from bfc.learners.mean_field import MeanField
from bfc.learners.mlp import MLP
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.optimizers.base import Optimizer
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet as QuadraticTarget
from bfc.targets.radial import Radial
from bfc.types import Learner, Target

Network = tuple[Target, Learner, Optimizer]
SIZES = (1, 2, 4, 8, 16, 32)


def perceptrons() -> dict[str, Network]:
    networks: dict[str, Network] = {}
    for widths in ((64, 64), (128, 128), (256, 256), (512,), (512, 512)):
        for batch in (64, 256):
            name = f"perceptron {'-'.join(map(str, (32, *widths)))}, batch {batch}"
            target = Parity(d=32, law="gaussian")
            networks[name] = (target, MLP(widths=widths), sgd(0.01, batch))
    return networks


def mean_field_networks() -> dict[str, Network]:
    networks: dict[str, Network] = {}
    for m1 in (128, 512):
        name = f"mean-field 100-{m1}-128, batch 512"
        networks[name] = (Radial(d=100), MeanField(m1=m1, m2=128), sgd(0.2, 512))
    return networks


NETWORKS: dict[str, Network] = {
    **perceptrons(),
    **mean_field_networks(),
    "quadratic, d = 32, L = 4": (
        QuadraticTarget(d=32, L=4, widths=(4, 3, 2)),
        QuadraticDenseNet(),
        Adam(lr=0.01, batch=256),
    ),
    "quadratic, d = 128, 8 and 4 features": (
        QuadraticTarget(d=128, L=3, widths=(8, 4)),
        QuadraticDenseNet(),
        Adam(lr=0.01, batch=256),
    ),
    "quadratic, d = 32, 12 and 8 features": (
        QuadraticTarget(d=32, L=3, widths=(4, 2)),
        QuadraticDenseNet(widths=(12, 8)),
        Adam(lr=0.01, batch=256),
    ),
}


def measure(name: str, seconds: float) -> dict[str, Any]:
    """Rates of one network at every size, and what the chosen size gets of the best."""
    target, learner, optimizer = NETWORKS[name]
    recipe = Recipe(target, learner, SCHEDULE, optimizer, test=16)
    chosen = stack_size(recipe, True)
    rates = {}
    for size in sorted({*SIZES, chosen}):
        rates[size] = measure_rate(train_chunks(new_trainer(recipe, size)), seconds, CPU)
    return {
        "network": name,
        "bytes": step_bytes(recipe, True),
        "rates": {str(size): rate for size, rate in rates.items()},
        "chosen": chosen,
        "of_best": rates[chosen] / max(rates.values()),
    }


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    sizes = [f"R = {size}" for size in SIZES]
    table = Table(
        *("network", "MB a step", *sizes, "chosen", "of the best"),
        title="Replica-steps per CPU-second",
    )
    for row in rows:
        rates = [f"{row['rates'][str(size)]:,.0f}" for size in SIZES]
        share = f"{row['of_best']:.2f}"
        megabytes = f"{row['bytes'] / 1e6:.2f}"
        table.add_row(row["network"], megabytes, *rates, str(row["chosen"]), share)
    Console(width=150).print(table)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.3, help="CPU time per network and size")
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = [measure(name, options.seconds) for name in NETWORKS]
    print_table(rows)
    worst = min(rows, key=lambda row: row["of_best"])
    print(f"worst: {worst['network']}")
    aim = Aim("rate at the chosen stack size / the best, worst network", worst["of_best"], 0.8)
    finish("stacks", {"rows": rows}, [aim], options.json)


if __name__ == "__main__":
    main()
