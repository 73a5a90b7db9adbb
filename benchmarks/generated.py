"""What generated code gains on this processor, and what is left for the code that it could replace.

Three parts, each printed as a table of rates per CPU-second of this process:

replicas  both kinds of code for stacks of few replicas, from which
          :mod:`bfc.engine.compiled.choice` takes where code gains
centring  the constants of a check (4096 rows per replica) by code and by torch
reverse   reverse passes that are written by hand against automatic differentiation, by both kinds
          of code

    python -m benchmarks.generated [--parts replicas centring reverse] [--seconds 0.3]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.cases import CASES, CPU, SCHEDULE, Compile, measure_rate, new_trainer, train_chunks
from benchmarks.stacks import NETWORKS
from benchmarks.walls import rate
from bfc.engine.centring import REFERENCE_ROWS, PlainCentring
from bfc.engine.compiled.centring import LaneCentring
from bfc.engine.compiled.choice import expects_code
from bfc.engine.recipe import Recipe
from bfc.engine.signature import signature
from bfc.engine.state import COMPILED
from bfc.learners.mean_field import MeanField
from bfc.learners.mlp import MLP
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.targets.quadratic_densenet import QuadraticDenseNet as QuadraticTarget

CHAIN = (QuadraticTarget(d=16, L=3, widths=(4, 2)), QuadraticDenseNet(), Adam(batch=256))
FEW = {
    "quadratic, d = 16, L = 3": CHAIN,
    **{
        name: NETWORKS[name]
        for name in (
            *("perceptron 32-64-64, batch 64", "perceptron 32-128-128, batch 64"),
            *("perceptron 32-512, batch 64", "mean-field 100-128-128, batch 512"),
        )
    },
}
"""Networks from one that gains for a single replica to one that needs many."""
SIZES = (1, 2, 4, 6, 8, 16)
CENTRED = 32
"""Replicas whose constants are computed."""


@dataclass(frozen=True)
class DifferentiatedQuadratic(QuadraticDenseNet):
    """The quadratic network by automatic differentiation."""

    has_vjp: ClassVar[bool] = False


@dataclass(frozen=True)
class DifferentiatedPerceptron(MLP):
    """The perceptron by automatic differentiation."""

    has_vjp: ClassVar[bool] = False


@dataclass(frozen=True)
class DifferentiatedMeanField(MeanField):
    """The mean-field network by automatic differentiation."""

    has_vjp: ClassVar[bool] = False


REVERSE = {
    "quadratic": (DifferentiatedQuadratic(), (1, 4, 16)),
    "tiny": (DifferentiatedPerceptron(widths=(64, 64)), (4,)),
    "wide": (DifferentiatedPerceptron(widths=(512, 512)), (1,)),
    "mean_field": (DifferentiatedMeanField(m1=512, m2=128), (1,)),
}
"""Case → its network without a reverse pass of its own, and R operation by operation."""
COMPILED_REVERSE = ("quadratic", "tiny")
COMPILED_REPLICAS = 32


def recipe_of(name: str) -> Recipe:
    target, learner, optimizer = FEW[name]
    return Recipe(target, learner, SCHEDULE, optimizer, test=16)


def steps_per_second(recipe: Recipe, replicas: int, compile: Compile, seconds: float) -> float:
    """Replica-steps per CPU-second of a stack."""
    trainer = new_trainer(replace(recipe, compile=compile), replicas)
    if compile == "always" and trainer.state.execution != COMPILED:
        raise SystemExit("the steps have no compiled form on this machine")
    return measure_rate(train_chunks(trainer), seconds, CPU)


def few_replicas(seconds: float) -> Iterator[Sequence[str]]:
    """Both kinds of code for every network and size, and which of them ``auto`` takes."""
    for name in FEW:
        recipe = recipe_of(name)
        parameters = signature(recipe.learner, recipe.target).num_parameters
        for size in SIZES:
            plain = steps_per_second(recipe, size, "never", seconds)
            code = steps_per_second(recipe, size, "always", seconds)
            auto = expects_code(replace(recipe, compile="auto"), parameters, size)
            chosen = "code" if auto else "operations"
            yield name, str(size), f"{plain:,.0f}", f"{code:,.0f}", f"{code / plain:.2f}", chosen


def centring(seconds: float) -> Iterator[Sequence[str]]:
    """Constants of a whole stack at a check by both sides."""
    target, learner, optimizer = CHAIN
    recipe = Recipe(target, learner, SCHEDULE, optimizer, test=REFERENCE_ROWS, compile="always")
    trainer = new_trainer(recipe, CENTRED)
    lanes = trainer.checks.centring
    assert isinstance(lanes, LaneCentring)
    plain = PlainCentring(recipe, lanes.pool_x)
    present, index = trainer.stages[0].present, list(range(CENTRED))
    params = trainer.state.params
    with torch.no_grad():
        by_torch = rate(lambda: plain.constants(params, index, present), 1.0, CPU, seconds)
        by_code = rate(lambda: lanes.constants(params, index, present), 1.0, CPU, seconds)
    ratio = f"{by_code / by_torch:.2f}"
    yield "quadratic, d = 16, L = 3", str(CENTRED), f"{by_torch:.1f}", f"{by_code:.1f}", ratio


def reverse(seconds: float) -> Iterator[Sequence[str]]:
    """Every network with and without a reverse pass of its own."""
    for name, (learner, sizes) in REVERSE.items():
        by_hand = CASES[name].trainer(1).recipe
        automatic = replace(by_hand, learner=learner)
        ways: list[tuple[Compile, int]] = [("never", size) for size in sizes]
        if name in COMPILED_REVERSE:
            ways.append(("always", COMPILED_REPLICAS))
        for compile, size in ways:
            rates = [
                f"{steps_per_second(recipe, size, compile, seconds):,.0f}"
                for recipe in (by_hand, automatic)
            ]
            yield name, "code" if compile == "always" else "operations", str(size), *rates


PARTS: dict[str, tuple[Callable[[float], Iterator[Sequence[str]]], tuple[str, ...]]] = {
    "replicas": (few_replicas, ("network", "R", "operations", "code", "code / operations", "auto")),
    "centring": (centring, ("network", "R", "calls by torch", "by code", "code / torch")),
    "reverse": (reverse, ("network", "steps", "R", "by hand", "automatic differentiation")),
}
"""Part → what measures its rows, and the titles of its columns."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=0.3, help="CPU time per rate")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for part in options.parts:
        measure, titles = PARTS[part]
        table = Table(*titles, title=part)
        for row in measure(options.seconds):
            table.add_row(*row)
        Console(width=120).print(table)


if __name__ == "__main__":
    main()
