"""The loops of a step that are no matrix products: element by element, and sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from llvmlite import ir

from bfc.engine.compiled.elements import loop_indices, target_element, varying_axes, without
from bfc.engine.compiled.emitter import LlvmEmitter
from bfc.engine.compiled.evaluate import Evaluation
from bfc.engine.compiled.program import Indices, Reduce, Shape, Value, offset_of
from bfc.engine.compiled.storage import Loop

IN_FLIGHT = 8
"""Independent elements that a pass computes, so that the processor need not wait for any."""
MAX_SUMS = 16
"""Sums that are kept in registers at a time."""


def unroll(size: int, limit: int) -> int:
    """The largest of 8, 4, 2 and 1 that divides ``size`` and is at most ``limit``."""
    return next(count for count in (8, 4, 2, 1) if size % count == 0 and count <= max(1, limit))


def nest(
    emitter: LlvmEmitter,
    axes: Sequence[tuple[str, int, int]],
    body: Callable[[list[ir.Value]], list[ir.Value]],
    carried: Sequence[ir.Value] = (),
) -> list[ir.Value]:
    """Loops within each other, (name, size, step) from the outermost on."""
    if not axes:
        return body(list(carried))
    (name, size, step), *inner = axes
    return emitter.loop(
        name, size, lambda values: nest(emitter, inner, body, values), carried, step
    )


def along(axes: Sequence[int], shape: Shape, step: int) -> list[tuple[str, int, int]]:
    """Loops along some axes, of which the innermost takes ``step`` elements at a time."""
    return [(f"i{axis}", shape[axis], step if axis == axes[-1] else 1) for axis in axes]


def shifted(indices: Indices, variable: str, distance: int) -> Indices:
    """The indices ``distance`` further along the axis that ``variable`` runs along."""
    return tuple(
        index + distance if any(name == variable for name, _ in index.terms) else index
        for index in indices
    )


def emit_map(emitter: LlvmEmitter, loop: Loop, stored: set[Value]) -> None:
    """Compute every element from the same elements of others."""
    shape = loop.target.shape
    elements, axes = loop_indices(shape), varying_axes(shape)
    step = unroll(shape[axes[-1]], IN_FLIGHT // len(elements)) if axes else 1
    last = f"i{axes[-1]}" if axes else ""

    def body(_: list[ir.Value]) -> list[ir.Value]:
        evaluation = Evaluation(emitter, stored)
        results = []
        for distance in range(step):
            for indices in elements:
                moved = shifted(indices, last, distance)
                element = evaluation.element(loop.target, moved, is_target=loop.computes_target)
                results.append((moved, element))
        for moved, element in results:
            emitter.store(element, loop.place, offset_of(moved, loop.strides))
        return []

    nest(emitter, along(axes, shape, step), body)


def emit_sum(emitter: LlvmEmitter, loop: Loop, core: Reduce, stored: set[Value]) -> None:
    """Add up elements, and compute the target from the sums."""
    shape = core.source.shape
    axes = varying_axes(shape)
    free_axes = [axis for axis in axes if axis not in core.axes]
    summed = [axis for axis in axes if axis in core.axes]
    elements = loop_indices(shape)
    groups = list(dict.fromkeys(without(indices, core.axes) for indices in elements))
    width = unroll(shape[free_axes[-1]], MAX_SUMS // len(groups)) if free_axes else 1
    sums = list(product(groups, range(width)))
    chains = unroll(shape[summed[-1]], IN_FLIGHT // len(sums)) if summed else 1
    along_free = f"i{free_axes[-1]}" if free_axes else ""
    along_summed = f"i{summed[-1]}" if summed else ""

    def add_up(totals: list[ir.Value]) -> list[ir.Value]:
        evaluation = Evaluation(emitter, stored)
        keys = [(*key, number) for key, number in product(sums, range(chains))]
        results = dict(zip(keys, totals, strict=True))
        for chain in range(chains):
            for indices in elements:
                for t in range(width):
                    place = shifted(shifted(indices, along_free, t), along_summed, chain)
                    key = (without(indices, core.axes), t, chain)
                    element = evaluation.element(core.source, place)
                    results[key] = emitter.operate("add", [results[key], element])
        return list(results.values())

    def body(_: list[ir.Value]) -> list[ir.Value]:
        zeros = [emitter.constant(0.0)] * (len(sums) * chains)
        totals = nest(emitter, along(summed, shape, chains), add_up, zeros)
        for number, (group, t) in enumerate(sums):
            total = totals[number * chains]
            for chain in range(1, chains):
                total = emitter.operate("add", [total, totals[number * chains + chain]])
            store_core(emitter, loop, total, shifted(group, along_free, t), stored)
        return []

    nest(emitter, along(free_axes, shape, width), body)


def store_core(
    emitter: LlvmEmitter, loop: Loop, element: ir.Value, indices: Indices, stored: set[Value]
) -> None:
    """Store the element of the target that follows from an element of the loop's core."""
    element, indices = target_element(emitter, loop, element, indices, stored)
    emitter.store(element, loop.place, offset_of(indices, loop.strides))
