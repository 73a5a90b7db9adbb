"""What a training is made of, without its numbers: names and shapes.

They are read off a single replica on the CPU, once for every learner and target, so that a plan may
ask about thousands of cells.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import prod

import torch
from torch import Tensor

from bfc.engine.recipe import Recipe
from bfc.types import Learner, Target

NamedShapes = tuple[tuple[str, tuple[int, ...]], ...]


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
    draw = target.draw([0], device=torch.device("cpu"))
    params = learner.init_params(target, draw)
    return Signature(_shapes(params), _shapes(draw.revealed.tensors()))


def signature(learner: Learner, target: Target) -> Signature:
    """The signature of a learner on a target."""
    return _cached_signature(learner, target)  # type: ignore[arg-type]  # components are hashable


def _shapes(tensors: Mapping[str, Tensor]) -> NamedShapes:
    return tuple((name, tuple(value.shape[1:])) for name, value in tensors.items())
