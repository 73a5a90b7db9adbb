"""One element of a value as operations on elements in memory.

The same walk serves the plan, which records what a loop reads, and the code generator, which emits
instructions; they differ in the :class:`Machine` that they hand in.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Generic, Protocol, TypeVar

from bfc.engine.compiled.program import (
    AxisPosition,
    Constant,
    Indices,
    Input,
    Join,
    Map,
    Patch,
    Reduce,
    Reshape,
    Shape,
    Value,
    View,
    matching_axes,
    offset_of,
    strides_of,
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class NotStatic(Exception):
    """A short axis is read at a place that is not known before the loop runs."""

    def __init__(self, value: Value) -> None:
        super().__init__(value)
        self.value = value


class Machine(Protocol[T]):
    """What an evaluation computes with."""

    def load(self, value: Value, offset: AxisPosition) -> T:
        """An element of a stored value, ``offset`` elements from its first."""
        ...

    def constant(self, number: float) -> T: ...

    def operate(self, op: str, args: list[T]) -> T: ...


class Evaluation(Generic[T]):
    """Elements of values within one pass of a loop; nothing is computed twice."""

    def __init__(
        self,
        machine: Machine[T],
        stored: set[Value],
        given: Mapping[Value, T] | None = None,
    ) -> None:
        """``given``: values of which one element is known already, whatever it is asked for."""
        self.machine, self.stored = machine, stored
        self.given: dict[Value, T] = dict(given or {})
        self.known: dict[tuple[Value, Indices], T] = {}

    def element(self, value: Value, indices: Indices, is_target: bool = False) -> T:
        """The element at ``indices``; computed, not loaded, if it is the target of the loop."""
        key = (value, indices)
        if key not in self.known:
            self.known[key] = self._element(value, indices, is_target)
        return self.known[key]

    def _element(self, value: Value, indices: Indices, is_target: bool) -> T:
        if value in self.given:
            return self.given[value]
        if isinstance(value, Constant):
            return self.machine.constant(value.number)
        if isinstance(value, Input) or (value in self.stored and not is_target):
            return self.machine.load(value, offset_of(indices, strides_of(value.shape)))
        if isinstance(value, View):
            return self.element(value.source, value.to_source(indices))
        if isinstance(value, Reshape):
            return self._reshaped(value, indices)
        if isinstance(value, Map):
            args = [self.element(arg, indices) for arg in value.args]
            return self.machine.operate(value.op, args)
        if isinstance(value, Reduce):
            return self._sum(value, indices)
        if isinstance(value, Patch):
            return self._patched(value, indices)
        assert isinstance(value, Join)
        return self._joined(value, indices)

    def _reshaped(self, value: Reshape, indices: Indices) -> T:
        offset = offset_of(indices, strides_of(value.shape))
        source: Value = value
        while isinstance(source, Reshape):
            source = source.source
        if isinstance(source, Input) or source in self.stored:
            return self.machine.load(source, offset)
        return self.element(source, _source_indices(value, indices, source.shape))

    def _sum(self, value: Reduce, indices: Indices) -> T:
        terms = []
        for summed in positions([value.source.shape[axis] for axis in value.axes]):
            terms.append(self.element(value.source, insert(indices, value.axes, summed)))
        total = terms[0]
        for term in terms[1:]:
            total = self.machine.operate("add", [total, term])
        return total

    def _patched(self, value: Patch, indices: Indices) -> T:
        place = indices[value.axis]
        if not place.is_static:
            raise NotStatic(value)
        within = place.const - value.start
        if 0 <= within < value.part.shape[value.axis]:
            return self.element(value.part, _replace(indices, value.axis, AxisPosition(within)))
        return self.element(value.base, indices)

    def _joined(self, value: Join, indices: Indices) -> T:
        place = indices[value.axis]
        if not place.is_static:
            raise NotStatic(value)
        within = place.const
        for part in value.parts:
            if within < part.shape[value.axis]:
                return self.element(part, _replace(indices, value.axis, AxisPosition(within)))
            within -= part.shape[value.axis]
        raise IndexError(place.const)


def positions(sizes: Iterable[int]) -> Iterable[Indices]:
    """All positions along some axes, as numbers."""
    for place in itertools.product(*(range(size) for size in sizes)):
        yield tuple(AxisPosition(i) for i in place)


def insert(indices: Indices, axes: tuple[int, ...], places: Indices) -> Indices:
    """Indices with ``places`` put in at ``axes``."""
    rest, placed = iter(indices), dict(zip(axes, places, strict=True))
    count = len(indices) + len(axes)
    return tuple(placed[axis] if axis in placed else next(rest) for axis in range(count))


def _replace(indices: Indices, axis: int, place: AxisPosition) -> Indices:
    return (*indices[:axis], place, *indices[axis + 1 :])


def _source_indices(value: Reshape, indices: Indices, shape: Shape) -> Indices:
    """The indices in ``shape`` of the element at ``indices`` of a reshaped value.

    Axes that are taken apart must be read at places that are known.
    """
    source_indices: list[AxisPosition] = []
    for ours, theirs in matching_axes(value.shape, shape):
        sizes = tuple(value.shape[axis] for axis in ours)
        offset = offset_of(tuple(indices[axis] for axis in ours), strides_of(sizes))
        source_sizes = tuple(shape[axis] for axis in theirs)
        if sum(size > 1 for size in source_sizes) <= 1:
            source_indices += [offset if size > 1 else AxisPosition() for size in source_sizes]
            continue
        if not offset.is_static:
            raise NotStatic(value)
        rest = offset.const
        for stride in strides_of(source_sizes):
            source_indices.append(AxisPosition(rest // stride))
            rest %= stride
    return tuple(source_indices)
