"""One pass of a loop: the elements that it computes."""

from __future__ import annotations

from typing import TypeVar

from bfc.engine.compiled.evaluate import Evaluation, Machine, positions
from bfc.engine.compiled.program import AxisPosition, Indices, Shape, Value
from bfc.engine.compiled.storage import Loop
from bfc.engine.compiled.stored import written_out

T = TypeVar("T")


def varying_axes(shape: Shape) -> list[int]:
    """The axes that a loop over ``shape`` runs along."""
    fixed = written_out(shape)
    return [axis for axis, size in enumerate(shape) if size > 1 and axis not in fixed]


def loop_indices(shape: Shape, name: str = "i") -> list[Indices]:
    """The elements that one pass of a loop over ``shape`` computes.

    Axes that are not written out have a loop variable each, ``name`` and the number of the axis.
    """
    fixed = written_out(shape)
    indices = []
    for place in positions([shape[axis] for axis in fixed]):
        variables = [AxisPosition.variable(f"{name}{axis}") for axis in range(len(shape))]
        placed = dict(zip(fixed, place, strict=True))
        indices.append(
            tuple(
                AxisPosition() if size == 1 else placed.get(axis, variables[axis])
                for axis, size in enumerate(shape)
            )
        )
    return indices


def without(indices: Indices, axes: tuple[int, ...]) -> Indices:
    """The indices along all other axes."""
    return tuple(index for axis, index in enumerate(indices) if axis not in axes)


def target_element(
    machine: Machine[T], loop: Loop, element: T, indices: Indices, stored: set[Value]
) -> tuple[T, Indices]:
    """The element of a loop's target that follows from one of its core, and where it is."""
    core = loop.core
    assert core is not None
    if loop.target is core:
        return element, indices
    places = loop.target_indices(indices)
    evaluation = Evaluation(machine, stored, {core: element})
    return evaluation.element(loop.target, places, is_target=True), places
