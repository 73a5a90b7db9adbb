"""What an optimizer step reads, as names and shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from bfc.engine.recipe import Recipe
from bfc.types import Params

Shape = tuple[int, ...]


STREAM_HEAD = 4
"""Numbers of a replica's region ``stream`` ahead of the keys of fresh rows."""


@dataclass(frozen=True)
class DrawnInputs:
    """What generated code reads of the draws of a stack to draw fresh rows.

    By the names that these tensors have in the traced graph (:mod:`bfc.engine.compiled.drawing`).
    """

    keys: tuple[str, ...]
    """Keys of random streams, a number per replica."""
    tensors: Mapping[str, Shape]
    """Other tensors, such as the weights of a target."""
    digest: str
    """Equal where rows are drawn by the same operations."""

    def position(self, key: str) -> int:
        """Of a key in the region ``stream``."""
        return STREAM_HEAD + self.keys.index(key)


@dataclass(frozen=True)
class StepShapes:
    """What a step reads, per replica."""

    trained: Mapping[str, Shape]
    """The parameters that train, in the order in which they are laid out flat."""
    fixed: Mapping[str, Shape]
    """All other parameters."""
    buffers: tuple[str, ...]
    """Buffers of the optimizer, each as large as what trains."""
    rows: int
    """Rows of a batch."""
    input_width: int
    has_multiplier: bool
    """Whether parameters have multipliers of the learning rate."""
    drawn: DrawnInputs | None = None
    """What fresh rows are drawn with; None: rows are read from a pool."""

    @property
    def num_trained(self) -> int:
        """P, the numbers that train."""
        return sum(prod(shape) for shape in self.trained.values())

    @property
    def stream_size(self) -> int:
        """Numbers of the region ``stream`` of a replica."""
        return STREAM_HEAD + (0 if self.drawn is None else len(self.drawn.keys))

    @classmethod
    def of(
        cls, recipe: Recipe, params: Params, trained: Sequence[str], has_multiplier: bool
    ) -> StepShapes:
        """The shapes of a step of stacked ``params``."""
        shapes = {name: tuple(p.shape[1:]) for name, p in params.items()}
        fixed = {name: shape for name, shape in shapes.items() if name not in trained}
        return cls(
            {name: shapes[name] for name in trained},
            fixed,
            tuple(recipe.optimizer.state_names),
            recipe.optimizer.batch,
            recipe.target.input_width,
            has_multiplier,
        )


FIRST_INPUTS = ("x", "y", "rate", "clock", "flat")
"""The inputs of a traced step that every step has; the buffers of the optimizer, the multiplier
and the fixed parameters follow."""


def input_names(shapes: StepShapes) -> list[str]:
    """The names of a traced step's inputs, in order."""
    multiplier = ["multiplier"] if shapes.has_multiplier else []
    buffers = [f"buffer_{name}" for name in shapes.buffers]
    return [*FIRST_INPUTS, *buffers, *multiplier, *(f"fixed_{name}" for name in shapes.fixed)]
