"""The loops of a step that are no products of wide matrices: element by element, and sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from bfc.engine.compiled.blocks.emitter import TritonEmitter, Variable, tile_length
from bfc.engine.compiled.elements import loop_indices, target_element, varying_axes, without
from bfc.engine.compiled.evaluate import Evaluation
from bfc.engine.compiled.program import Indices, Reduce, Shape, Value, offset_of
from bfc.engine.compiled.storage import Loop

MAX_NUMBERS = 4096
"""Numbers of all tiles of one pass together: 16 in each of 256 threads."""
MAX_SUMS = 64
"""Sums that stand side by side in a tile."""
Addends = Callable[[Evaluation[str]], Sequence[str]]
"""What is added to a total in one pass."""


@dataclass(frozen=True)
class Axes:
    """Axes that a loop runs along."""

    names: tuple[str, ...]
    """Of the loop variables."""
    shape: Shape

    @classmethod
    def of(cls, axes: Sequence[int], shape: Shape) -> Axes:
        return cls(tuple(f"i{axis}" for axis in axes), tuple(shape[axis] for axis in axes))

    @property
    def size(self) -> int:
        return prod(self.shape)

    def split(self, emitter: TritonEmitter, flat: Variable) -> dict[str, Variable]:
        """The loop variables where ``flat`` runs through all elements."""
        return emitter.split(flat, self.names, self.shape)


def emit_map(emitter: TritonEmitter, loop: Loop, stored: set[Value]) -> None:
    """Compute every element from the same elements of others."""
    shape = loop.target.shape
    elements, axes = loop_indices(shape), Axes.of(varying_axes(shape), shape)
    with emitter.tiles(axes.size, tile_length(axes.size, MAX_NUMBERS // len(elements))) as flat:
        emitter.variables = axes.split(emitter, flat)
        evaluation = Evaluation(emitter, stored)
        results = []
        for indices in elements:
            element = evaluation.element(loop.target, indices, is_target=loop.computes_target)
            results.append((indices, element))
        for indices, element in results:
            emitter.store(element, loop.place, offset_of(indices, loop.strides))


def emit_sum(emitter: TritonEmitter, loop: Loop, core: Reduce, stored: set[Value]) -> None:
    """Add up elements, and compute the target from the sums."""
    shape = core.source.shape
    groups: dict[Indices, list[Indices]] = {}
    for indices in loop_indices(shape):
        groups.setdefault(without(indices, core.axes), []).append(indices)

    def addends_of(places: list[Indices]) -> Addends:
        return lambda evaluation: [evaluation.element(core.source, place) for place in places]

    axes = varying_axes(shape)
    free_axes = Axes.of([axis for axis in axes if axis not in core.axes], shape)
    summed = Axes.of([axis for axis in axes if axis in core.axes], shape)
    addends = {indices: addends_of(places) for indices, places in groups.items()}
    emit_totals(emitter, loop, free_axes, summed, addends, stored)


def emit_totals(
    emitter: TritonEmitter,
    loop: Loop,
    free_axes: Axes,
    summed: Axes,
    addends: Mapping[Indices, Addends],
    stored: set[Value],
) -> None:
    """Totals along ``summed``, one per element along ``free_axes`` and entry of ``addends``.

    ``addends`` are keyed by the elements of the loop's core that they add up to. In a tile,
    ``free_axes`` is the first axis and ``summed`` the second.
    """
    rows = tile_length(free_axes.size, MAX_SUMS)
    columns = tile_length(summed.size, max(1, MAX_NUMBERS // (rows * len(addends))))
    with emitter.tiles(free_axes.size, rows) as first:
        variables = free_axes.split(emitter, first)
        totals = [emitter.assign(emitter.zeros(rows, columns)) for _ in addends]
        with emitter.tiles(summed.size, columns) as second:
            emitter.variables = along(variables, 0) | along(summed.split(emitter, second), 1)
            evaluation = Evaluation(emitter, stored)
            for total, compute in zip(totals, addends.values(), strict=True):
                for element in compute(evaluation):
                    emitter.line(f"{total} += {emitter.masked(element, second.along(1))}")
        emitter.variables = variables
        axis = "axis=1" if free_axes.size > 1 else "axis=None"
        for total, indices in zip(totals, addends, strict=True):
            store_core(emitter, loop, emitter.assign(f"tl.sum({total}, {axis})"), indices, stored)


def store_core(
    emitter: TritonEmitter, loop: Loop, element: str, indices: Indices, stored: set[Value]
) -> None:
    """Store the element of the target that follows from an element of the loop's core."""
    element, indices = target_element(emitter, loop, element, indices, stored)
    emitter.store(element, loop.place, offset_of(indices, loop.strides))


def along(variables: Mapping[str, Variable], axis: int) -> dict[str, Variable]:
    """Loop variables of a tile of two axes that run along one of them."""
    return {name: variable.along(axis) for name, variable in variables.items()}
