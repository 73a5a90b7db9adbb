"""The networks and optimizers whose training is measured, and how a stack's rate is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch

from benchmarks.networks import Array, Ops, mean_field, perceptron, quadratic
from benchmarks.walls import clock
from bfc.engine.op_counter import OpCounter
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import Trainer
from bfc.learners.groups import list_parameters
from bfc.learners.mean_field import MeanField
from bfc.learners.mlp import MLP
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.optimizers.base import Optimizer
from bfc.optimizers.sgd import SGD
from bfc.schedules import Phase, Schedule
from bfc.targets.parity import Parity
from bfc.targets.quadratic_densenet import QuadraticDenseNet as QuadraticTarget
from bfc.targets.radial import Radial
from bfc.types import Learner, Target, Training

N = 512
"""Training rows per replica."""
CHUNK = 50
"""Optimizer steps between two readings of the clock."""
CPU = torch.device("cpu")
Compile = Literal["auto", "never", "always"]
SCHEDULE = Schedule((Phase(("level*", "bias")),), steps=10**6, check_every=CHUNK)


@dataclass(frozen=True)
class Case:
    """One network and optimizer, and its plain form for one replica."""

    target: Target
    learner: Learner
    optimizer: Optimizer
    network: Callable[[Mapping[str, Array], Array, Ops], Array]
    """Parameters and inputs (B, d) of one replica → outputs (B,)."""
    cpu_sizes: tuple[int, ...] = (1, 16, 32, 64)
    """Stack sizes measured on a CPU core, among which each side has its best.

    Beyond them the larger networks only leave the cache, and take minutes.
    """
    gpu_sizes: tuple[int, ...] = (64, 1024)

    def stack_sizes(self, device: torch.device) -> tuple[int, ...]:
        """Stack sizes that are measured on a device."""
        return self.cpu_sizes if device.type == "cpu" else self.gpu_sizes

    def trainer(
        self, replicas: int, device: torch.device = CPU, compile: Compile = "auto"
    ) -> Trainer:
        """A stack of this case that has not been trained yet."""
        recipe = Recipe(self.target, self.learner, SCHEDULE, self.optimizer, test=16, device=device)
        return new_trainer(replace(recipe, compile=compile), replicas)


def new_trainer(recipe: Recipe, replicas: int) -> Trainer:
    """A stack of ``replicas`` trainings on N rows each."""
    return Trainer(recipe, [Training(N, seed) for seed in range(replicas)])


def sgd(lr: float, batch: int) -> SGD:
    """Plain SGD at a constant rate."""
    return SGD(lr=lr, batch=batch, clip=None, warmup=0, decay="constant")


CASES = {
    "tiny": Case(Parity(d=32, law="gaussian"), MLP(widths=(64, 64)), sgd(0.01, 64), perceptron),
    "quadratic": Case(
        QuadraticTarget(d=32, L=4, widths=(4, 3, 2)),
        QuadraticDenseNet(),
        Adam(lr=0.01, batch=256, clip=1.0, warmup=0, decay="constant"),
        quadratic,
    ),
    "mean_field": Case(
        Radial(d=100),
        MeanField(m1=512, m2=128),
        sgd(0.2, 512),
        mean_field,
        cpu_sizes=(1, 2, 4, 8),
        gpu_sizes=(64, 512),
    ),
    "wide": Case(
        Parity(d=32, law="gaussian"),
        MLP(widths=(512, 512)),
        sgd(0.01, 256),
        perceptron,
        cpu_sizes=(1, 2, 4),
        gpu_sizes=(64, 512),
    ),
}
"""A tiny perceptron, the chain's network, the mean-field network of the depth-separation figure and
a wide perceptron."""


def trained_names(trainer: Trainer) -> list[str]:
    """Names of the parameters that train in the first phase."""
    return list_parameters(trainer.groups, trainer.stages[0].train)


def train_chunks(trainer: Trainer, record_steps: bool = True) -> Iterator[int]:
    """Train for ever; yields the replica-steps done per chunk.

    This is the training loop without its evaluations of the test risk, which the peers do not take
    either. Without ``record_steps`` no CUDA graph is used.
    """
    index, stage = list(range(len(trainer.trainings))), trainer.stages[0]
    if not record_steps:
        trainer.working_copy(index, stage).steps_per_graph = 1
    while True:
        trainer.train_chunk(index, stage, CHUNK)
        yield CHUNK * len(index)


def count_step(trainer: Trainer) -> OpCounter:
    """The operations of one step of the stack, drawing its rows included."""
    index, stage = list(range(len(trainer.trainings))), trainer.stages[0]
    trainer.working_copy(index, stage).steps_per_graph = 1
    trainer.train_chunk(index, stage, CHUNK)
    with OpCounter() as counter:
        trainer.train_chunk(index, stage, 1)
    return counter


def measure_rate(chunks: Iterator[int], seconds: float, device: torch.device) -> float:
    """Replica-steps per second of an iterator that yields the replica-steps of each chunk.

    Seconds are those of :func:`benchmarks.walls.clock`, after a warm-up of a fifth of the time.
    """
    for budget in (seconds / 5, seconds):
        done, start = 0, clock(device)
        while done == 0 or clock(device) - start < budget:
            done += next(chunks)
        elapsed = clock(device) - start
    return done / elapsed
