"""What a training is made of, without its numbers: names and shapes.

They are read off torch's ``meta`` device, which knows shapes and nothing else, so that a plan may
ask about thousands of cells.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from math import prod
from typing import TypeVar

import torch
from torch import Tensor

from bfc.engine.recipe import Recipe
from bfc.types import Learner, Target

T = TypeVar("T")
NamedShapes = tuple[tuple[str, tuple[int, ...]], ...]


def without_values(read: Callable[[torch.device], T], device: torch.device) -> T:
    """``read`` on the ``meta`` device; on ``device`` where something in it needs a value."""
    try:
        return read(torch.device("meta"))
    except (NotImplementedError, RuntimeError):
        return read(device)


@dataclass(frozen=True)
class Signature:
    """Names and shapes of one replica."""

    params: NamedShapes
    revealed: NamedShapes
    """What a learner may use of the target."""

    @property
    def num_parameters(self) -> int:
        return sum(prod(shape) for _, shape in self.params)


def fusion_key(recipe: Recipe) -> str:
    """Equal for recipes whose trainings can share a stack.

    It holds all that enters a step but the numbers of the target and the learning rate. A target
    with a loss or an error of its own may read any of its fields there, so it enters as a whole.
    """
    target, learner = recipe.target, recipe.learner
    names = [f.name for f in fields(recipe) if f.name not in ("target", "optimizer")]
    return repr(
        (
            [getattr(recipe, name) for name in names],
            recipe.optimizer.with_lr(1.0),
            None if target.has_squared_loss and target.has_squared_error else target,
            target.d,
            target.input_width,
            target.outputs,
            learner.levels(target),
            learner.groups(target),
            learner.rates(target),
            signature(learner, target),
        )
    )


@functools.lru_cache(maxsize=4096)
def _cached_signature(learner: Learner, target: Target) -> Signature:
    def read(device: torch.device) -> Signature:
        draw = target.draw([0], device=device)
        params = learner.init_params(target, draw)
        return Signature(_shapes(params), _shapes(draw.revealed.tensors()))

    return without_values(read, torch.device("cpu"))


def signature(learner: Learner, target: Target) -> Signature:
    """The signature of a learner on a target."""
    return _cached_signature(learner, target)  # type: ignore[arg-type]  # components are hashable


def _shapes(tensors: Mapping[str, Tensor]) -> NamedShapes:
    return tuple((name, tuple(value.shape[1:])) for name, value in tensors.items())
