"""What a training is made of, without its numbers: names and shapes, read off torch's ``meta``
device, which knows shapes and nothing else, so that a plan may ask about thousands of cells."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeVar

import torch
from torch import Tensor

from bfc.engine.recipe import Recipe
from bfc.types import Learner, Target

T = TypeVar("T")
Named = tuple[tuple[str, tuple[int, ...]], ...]


def without_values(read: Callable[[torch.device], T], device: torch.device) -> T:
    """``read`` on the ``meta`` device; on ``device`` where something on its way needs a value."""
    try:
        return read(torch.device("meta"))
    except (NotImplementedError, RuntimeError):
        return read(device)


@dataclass(frozen=True)
class Signature:
    """Of one replica: its parameters, and what a learner may be told about the target."""

    params: Named
    revealed: Named

    @property
    def parameters(self) -> int:
        return sum(prod(shape) for _, shape in self.params)


def fusion_key(recipe: Recipe) -> str:
    """Equal for recipes whose trainings can share a stack: all that enters a step but the numbers
    of the target and the learning rate."""
    target, learner = recipe.target, recipe.learner
    own = [
        target
        for method, plain in ((target.loss, Target.loss), (target.error, Target.error))
        if getattr(method, "__func__", None) is not plain
    ]
    return repr(
        (
            replace(recipe, target=None, optimizer=replace(recipe.optimizer, lr=1.0)),
            own,
            target.d,
            target.input_width,
            target.outputs,
            learner.levels(target),
            learner.groups(target),
            learner.rates(target),
            shapes(learner, target),
        )
    )


@functools.lru_cache(maxsize=4096)
def shapes(learner: Learner, target: Target) -> Signature:
    """The shapes of a learner on a target."""

    def read(device: torch.device) -> Signature:
        draw = target.draw([0], device=device)
        return Signature(
            _named(learner.init_params(target, draw).items()), _named(draw.revealed.items())
        )

    return without_values(read, torch.device("cpu"))


def _named(items: Sequence[tuple[str, Tensor]]) -> Named:
    return tuple((name, tuple(value.shape[1:])) for name, value in items)
