"""Train a list of trainings stack by stack, with a checkpoint.

Everything a cell trains, measured trainings and those that only tune it alike, goes through here
and has the same stack size, checkpoint and progress: a killed process loses at most the work since
the last checkpoint and goes on with the same numbers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, Literal

import torch

from bfc import stop_signals
from bfc.engine.recipe import Recipe
from bfc.engine.stack_request import StackRequest, TrainStack
from bfc.engine.stack_size import stack_size
from bfc.engine.state import State
from bfc.store.cells import Cell
from bfc.store.files import current_kind
from bfc.types import Training

_log = logging.getLogger(__name__)

STATE_PARTS = ("counters", "risks", "params", "best")
"""Parts of a state that hold one entry per replica under each name."""


@dataclass(frozen=True)
class TrainingRequest:
    """One training with its learning rate; None: the optimizer's own."""

    training: Training
    lr: float | None = None


@dataclass(frozen=True)
class TrainedStack:
    """A stack that has ended."""

    requests: list[TrainingRequest]
    records: list[dict[str, Any]]
    """One per request, in order."""
    seconds: float
    """Seconds of one training."""
    stack: int
    """Trainings that shared the stack, those of other cells included."""
    execution: str
    """By which kind of code it took its steps (:class:`bfc.engine.state.State`)."""


StoreStack = Callable[[TrainedStack], None]
"""Stores a stack that has ended."""


@dataclass(frozen=True)
class Checkpoint:
    """A stack that has not ended."""

    requests: list[TrainingRequest]
    state: dict[str, Any]
    seconds: float
    longer: int


@dataclass(frozen=True)
class CheckpointedTraining:
    """Trains for one cell."""

    cell: Cell
    device: torch.device
    stack: int | Literal["auto"]
    """Trainings to a stack; auto: as many as suit the device (:mod:`bfc.engine.stack_size`)."""
    checkpoint_seconds: float
    train: TrainStack
    report_progress: Callable[[int], None]
    """Gets the replica-steps done since :meth:`run` was called."""

    def run(self, recipe: Recipe, requests: Sequence[TrainingRequest], store: StoreStack) -> None:
        """Train all requests in order, the stack with a checkpoint first."""
        left = list(requests)
        if not left:
            return
        is_pooled = left[0].training.n > 0
        size = stack_size(recipe, is_pooled) if self.stack == "auto" else self.stack
        checkpoint = self._load(recipe)
        offset = 0
        if checkpoint is not None and set(checkpoint.requests) <= set(left):
            begun = checkpoint.requests
            max_stack = max(size, len(begun))
            offset = self._run_stack(recipe, begun, max_stack, checkpoint, offset, store)
            left = [request for request in left if request not in set(begun)]
        for start in range(0, len(left), size):
            chunk = left[start : start + size]
            offset = self._run_stack(recipe, chunk, size, None, offset, store)

    def _run_stack(
        self,
        recipe: Recipe,
        requests: list[TrainingRequest],
        max_stack: int,
        checkpoint: Checkpoint | None,
        offset: int,
        store: StoreStack,
    ) -> int:
        """Train one stack and store it; returns the replica-steps done so far."""
        seconds_before = checkpoint.seconds if checkpoint else 0.0
        saved_at = time.monotonic()

        def on_chunk(state: State, done: int, seconds: float) -> None:
            nonlocal saved_at
            self.report_progress(offset + done)
            is_due = time.monotonic() - saved_at >= self.checkpoint_seconds
            if is_due or stop_signals.stop_requested() is not None:
                self._save(recipe, requests, state, seconds_before + seconds)
                saved_at = time.monotonic()
            stop_signals.raise_if_requested()

        result = self.train(
            StackRequest(
                recipe,
                [request.training for request in requests],
                _rates(recipe, requests),
                max_stack,
                on_chunk,
                resume=self._state(checkpoint) if checkpoint else None,
                load_state=lambda: self._load_state(recipe, requests),
            )
        )
        seconds = (seconds_before + result.seconds) / len(requests)
        store(TrainedStack(requests, result.records, seconds, result.stack, result.execution))
        self.cell.drop_checkpoint()
        return offset + sum(stage.steps for stage in recipe.stages()) * len(requests)

    def _save(
        self, recipe: Recipe, requests: list[TrainingRequest], state: State, seconds: float
    ) -> None:
        trainings = [(r.training.n, r.training.seed, r.training.kind, r.lr) for r in requests]
        self.cell.save_checkpoint(
            {
                "trainings": trainings,
                "longer": recipe.longer,
                "seconds": seconds,
                "state": state.copy().tensors(),
            }
        )

    def _load(self, recipe: Recipe) -> Checkpoint | None:
        """The checkpoint of a stack of this recipe, if there is one."""
        stored = self.cell.load_checkpoint()
        checkpoint = None if stored is None else _parse_checkpoint(stored)
        if checkpoint is None or checkpoint.longer != recipe.longer:
            return None
        return checkpoint

    def _load_state(self, recipe: Recipe, requests: list[TrainingRequest]) -> State | None:
        """The state in the checkpoint, if it is one of these requests."""
        checkpoint = self._load(recipe)
        if checkpoint is None or checkpoint.requests != requests:
            return None
        return self._state(checkpoint)

    def _state(self, checkpoint: Checkpoint) -> State:
        return State(**checkpoint.state).to(self.device)

    def drop_finished(self, is_stored: Callable[[TrainingRequest], bool]) -> None:
        """Remove the checkpoint of a stack that is stored; a kill can leave one behind."""
        stored = self.cell.load_checkpoint()
        if stored is None:
            return
        checkpoint = _parse_checkpoint(stored)
        requests = [] if checkpoint is None else checkpoint.requests
        if all(map(is_stored, requests)):
            self.cell.drop_checkpoint()


def _rates(recipe: Recipe, requests: Sequence[TrainingRequest]) -> torch.Tensor:
    default = recipe.optimizer.lr
    rates = [default if request.lr is None else request.lr for request in requests]
    return torch.tensor(rates, dtype=torch.float64)


def _parse_checkpoint(stored: Any) -> Checkpoint | None:
    """The checkpoint in what was loaded.

    None, with a line about it, where this version wrote none.
    """
    with suppress(LookupError, TypeError, ValueError, AttributeError):
        requests = [
            TrainingRequest(Training(n, seed, current_kind(kind)), lr)
            for n, seed, kind, lr in stored["trainings"]
        ]
        checkpoint = Checkpoint(
            requests, stored["state"], float(stored["seconds"]), stored["longer"]
        )
        if requests and checkpoint.seconds >= 0 and _is_whole(checkpoint):
            return checkpoint
    _log.warning("checkpoint.pt: is not one of this version; its stack starts again")
    return None


def _is_whole(checkpoint: Checkpoint) -> bool:
    """Whether a state has all its parts, each with one entry per training."""
    state = checkpoint.state
    stored = chain.from_iterable(state[part].values() for part in STATE_PARTS)
    lengths = set(map(len, stored))
    lengths.add(len(state["records"]))
    names = set(state) | {"execution"}  # which earlier versions did not store
    return names == {f.name for f in fields(State)} and lengths == {len(checkpoint.requests)}
