"""Ask for a list of trainings stack by stack. It exists so that everything a cell trains, measured trainings and those that only tune it
alike, has the same stack size, checkpoint and progress: a killed process loses at most the work since the last checkpoint and goes
on with the same numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch

from bfc import interrupt
from bfc.engine.loop import Recipe
from bfc.engine.size import stack_size
from bfc.engine.state import State
from bfc.engine.together import Request, Run
from bfc.store import Cell
from bfc.types import Training

Keep = Callable[[list[Any], list[dict[str, Any]], float, int], None]
"""Stores what was asked for, its records, the seconds of each and the size of the stack, at the end of every stack."""


@dataclass(frozen=True)
class Asked:
    """One training with the learning rate it is to have; None: the optimizer's own."""

    training: Training
    lr: float | None = None


@dataclass(frozen=True)
class Stacks:
    """``size`` trainings to a stack, ``auto``: as many as suit the device (:mod:`bfc.engine.size`); ``tell`` gets the replica-steps done
    since ``run`` was called."""

    cell: Cell
    device: torch.device
    size: int | Literal["auto"]
    checkpoint_seconds: float
    tell: Callable[[int], None]

    def run(self, recipe: Recipe, wanted: Sequence[Asked], keep: Keep) -> Run[None]:
        """Train ``wanted`` in order, the stack with a checkpoint first."""
        left, offset = list(wanted), 0
        if not left:
            return
        size = stack_size(recipe, left[0].training.n > 0) if self.size == "auto" else self.size
        begun, checkpoint = self._found(recipe)
        if begun and set(begun) <= set(left):
            offset = yield from self._stack(recipe, begun, max(size, len(begun)), checkpoint, offset, keep)
            left = [asked for asked in left if asked not in set(begun)]
        for start in range(0, len(left), size):
            offset = yield from self._stack(recipe, left[start : start + size], size, None, offset, keep)

    def _stack(self, recipe: Recipe, asked: list[Asked], most: int, checkpoint: dict[str, Any] | None, offset: int,
               keep: Keep) -> Run[int]:
        spent = checkpoint["seconds"] if checkpoint else 0.0
        saved = time.monotonic()

        def on_chunk(state: State, done: int, seconds: float) -> None:
            nonlocal saved
            self.tell(offset + done)
            if interrupt.asked() or time.monotonic() - saved >= self.checkpoint_seconds:
                self.cell.save_checkpoint({
                    "trainings": [(a.training.n, a.training.seed, a.training.kind, a.lr) for a in asked], "longer": recipe.longer,
                    "seconds": spent + seconds, "state": state.copy().tensors()})
                saved = time.monotonic()
            interrupt.check()

        own = recipe.optimizer.lr
        rates = torch.tensor([own if a.lr is None else a.lr for a in asked], dtype=torch.float64)
        resume = State(**checkpoint["state"]).to(self.device) if checkpoint else None
        trained = yield Request(recipe, [a.training for a in asked], rates, most, on_chunk, resume, lambda: self._kept(recipe, asked))
        keep(asked, trained.records, (spent + trained.seconds) / len(asked), trained.stack)
        self.cell.drop_checkpoint()
        return offset + sum(stage.steps for stage in recipe.stages()) * len(asked)

    def _found(self, recipe: Recipe) -> tuple[list[Asked], dict[str, Any]]:
        """What the checkpoint's stack was asked for and the checkpoint; nothing where there is none of this recipe."""
        checkpoint = self.cell.load_checkpoint()
        begun = _begun(checkpoint) if checkpoint is not None else []
        return (begun, checkpoint) if begun and checkpoint["longer"] == recipe.longer else ([], {})

    def _kept(self, recipe: Recipe, asked: list[Asked]) -> State | None:
        """The state of this stack's checkpoint, if it has one."""
        begun, checkpoint = self._found(recipe)
        return State(**checkpoint["state"]).to(self.device) if begun == asked else None

    def drop_finished(self, stored: Callable[[Asked], bool]) -> None:
        """Remove the checkpoint of a stack that is stored, which a kill at the right moment leaves behind."""
        if (checkpoint := self.cell.load_checkpoint()) is not None and all(map(stored, _begun(checkpoint))):
            self.cell.drop_checkpoint()


def _begun(checkpoint: Any) -> list[Asked]:
    """What a checkpoint's stack was asked for; nothing if it is not one that this version wrote."""
    with suppress(LookupError, TypeError, ValueError, AttributeError):
        asked = [Asked(Training(n, seed, kind), lr) for n, seed, kind, lr in checkpoint["trainings"]]
        state, seconds = checkpoint["state"], float(checkpoint["seconds"])
        stack = [len(values) for part in ("counters", "risks", "params", "best") for values in state[part].values()]
        whole = set(state) == {f.name for f in fields(State)} and {*stack, len(state["records"])} == {len(asked)}
        if whole and seconds >= 0 and "longer" in checkpoint:
            return asked
    print("checkpoint.pt: is not one of this version; its stack starts again", flush=True)
    return []
