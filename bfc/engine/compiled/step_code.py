"""The step of one stage as code that can be stored."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from bfc.engine.compiled.scalars import ScalarProgram
from bfc.engine.compiled.shapes import StepShapes
from bfc.engine.compiled.storage import Place

FUNCTION = "take_steps"
ARGUMENTS = (
    *("state", "fixed", "shared", "scalars", "pool_x", "pool_y", "rows", "stream"),
    *("batch", "scratch", "loss"),
)
"""Pointers that the function takes after the number of steps: those of a group's part of the
:class:`~bfc.engine.compiled.hardware.StepTensors` of the same names; ``rows`` may be null."""


@dataclass(frozen=True)
class Layout:
    """Where the inputs of a step are, and how much memory it takes, in elements."""

    places: dict[str, Place]
    state: int
    fixed: int
    batch: int
    scratch: int = 0

    @classmethod
    def of(cls, shapes: StepShapes, scalars: tuple[str, ...]) -> Layout:
        places = {"x": Place("batch", 0), "y": Place("batch", shapes.rows * shapes.input_width)}
        size, state = shapes.num_trained, ["flat", *(f"buffer_{b}" for b in shapes.buffers)]
        places |= {name: Place("state", i * size) for i, name in enumerate(state)}
        fixed = 0
        for name, shape in shapes.fixed.items():
            places[f"fixed_{name}"] = Place("fixed", fixed)
            fixed += prod(shape)
        for name, shape in (shapes.drawn.tensors if shapes.drawn is not None else {}).items():
            places[name] = Place("fixed", fixed)
            fixed += prod(shape)
        places |= {name: Place("scalars", i) for i, name in enumerate(scalars)}
        places |= {"multiplier": Place("shared", 0), "loss": Place("loss", 0)}
        batch = shapes.rows * (shapes.input_width + 1)
        return cls(places, len(state) * size, fixed, batch)


@dataclass(frozen=True)
class StepCode:
    """Code, and what it takes to call it."""

    layout: Layout
    scalars: ScalarProgram
    content: bytes
