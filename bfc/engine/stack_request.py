"""The seam between what asks for trainings and what trains them.

Whoever measures a cell hands a :class:`StackRequest` to a :data:`TrainStack` and gets a
:class:`TrainResult`. :func:`train_stack` trains the request by itself, at once. The scheduler
(:mod:`bfc.engine.scheduler`) offers the same function to many cells and trains what they ask for in
common stacks; a cell cannot tell the difference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bfc.engine.recipe import Recipe
from bfc.engine.state import PLAIN, State
from bfc.engine.trainer import train
from bfc.types import Training


@dataclass(frozen=True, eq=False)
class StackRequest:
    """Trainings that are wanted, with a learning rate each."""

    recipe: Recipe
    trainings: Sequence[Training]
    rates: Tensor
    """Learning rates, shape (R,), float64."""
    max_stack: int
    """Trainings that one stack of this recipe may hold on its device."""
    on_chunk: Callable[[State, int, float], None]
    """Called between chunks with the state, the replica-steps done and the seconds spent."""
    resume: State | None = None
    """The state to go on from."""
    load_state: Callable[[], State | None] = lambda: None
    """Loads the state that was saved of these trainings last; None: there is none."""
    seconds_spent: float = 0.0
    """Seconds that these trainings took in a common stack that failed."""
    num_threads: int = field(default_factory=torch.get_num_threads)
    """Threads for tensor work, those of whoever asks."""


@dataclass(frozen=True)
class TrainResult:
    """What became of a request."""

    records: list[dict[str, Any]]
    """One per training, in order."""
    seconds: float
    """The request's share of the time that its stack took."""
    stack: int
    """Trainings in the stack."""
    execution: str
    """By which kind of code the stack took its steps (:class:`bfc.engine.state.State`)."""


TrainStack = Callable[[StackRequest], TrainResult]


def train_stack(request: StackRequest) -> TrainResult:
    """Train one request in a stack of its own. Raises whatever its training raises."""
    start = time.perf_counter()
    execution = PLAIN if request.resume is None else request.resume.execution

    def on_chunk(state: State, done: int, total: int) -> None:
        nonlocal execution
        execution = state.execution
        request.on_chunk(state, done, request.seconds_spent + time.perf_counter() - start)

    records = train(
        request.recipe,
        request.trainings,
        rates=request.rates,
        resume=None if request.resume is None else request.resume.tensors(),
        on_chunk=on_chunk,
    )
    seconds = request.seconds_spent + time.perf_counter() - start
    return TrainResult(records, seconds, len(request.trainings), execution)
