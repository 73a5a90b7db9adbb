"""Where elements of values are in memory, and the loops that put them there."""

from __future__ import annotations

from dataclasses import dataclass

from bfc.engine.compiled.program import (
    AxisPosition,
    Indices,
    NormalRows,
    Product,
    Reduce,
    Reshape,
    Shape,
    Value,
    View,
)
from bfc.engine.compiled.stored import inlined

Core = Product | Reduce | NormalRows


@dataclass(frozen=True)
class Place:
    """Where the elements of a value are."""

    region: str
    """``state``, ``fixed``, ``scalars``, ``shared``, ``batch``, ``scratch`` or ``loss``."""
    offset: int
    """Elements from the start of the region; an element is one number per lane."""

    def shifted(self, elements: int) -> Place:
        return Place(self.region, self.offset + elements)


@dataclass(eq=False)
class Loop:
    """Computes all elements of ``target`` and stores them."""

    target: Value
    owner: Value
    """The stored value whose memory the elements go to."""
    place: Place
    strides: Shape
    """Distance in memory of neighbours along each axis of ``target``."""
    core: Core | None
    """The product or sum whose elements the loop computes, of which ``target`` is a function, or
    the rows that it draws."""
    is_copy: bool = False
    """Whether it copies what is stored already to another place."""

    @property
    def computes_target(self) -> bool:
        """Whether the target is computed here, even if it is a value that is stored."""
        return self.target is self.owner and not self.is_copy

    def target_indices(self, core_indices: Indices) -> Indices:
        """The element of ``target`` that reads this element of ``core``."""
        assert self.core is not None
        path = axes_read(self.target, self.core)
        assert path is not None
        return tuple(core_indices[at] if at is not None else AxisPosition() for at in path)


def axes_read(target: Value, core: Value) -> list[int | None] | None:
    """Per axis of ``target`` the axis of ``core`` along which it is read, or None (of size one).

    None where ``core`` is read in any other way.
    """
    path = path_between(target, core)
    if path is None or target.size != core.size:
        return None
    variables = tuple(
        AxisPosition() if size == 1 else AxisPosition.variable(str(axis))
        for axis, size in enumerate(target.shape)
    )
    read = variables
    for view in path:
        if isinstance(view, Reshape):
            return None
        if isinstance(view, View):
            read = view.to_source(read)
    axes: list[int | None] = []
    for variable in variables:
        axes.append(read.index(variable) if variable.terms and variable in read else None)
    is_complete = all(
        a is not None or size == 1 for a, size in zip(axes, target.shape, strict=True)
    )
    return axes if is_complete else None


def path_between(value: Value, core: Value) -> list[Value] | None:
    """The values from ``value`` down to ``core``, which is read once."""
    readers: dict[Value, Value] = {}
    for part in inlined(value, {core}):
        for source in part.sources:
            readers.setdefault(source, part)
    path, current = [], core
    while current is not value:
        if current not in readers:
            return None
        current = readers[current]
        path.append(current)
    return path[::-1]


def first_fit(active: list[tuple[int, int, int]], size: int) -> int:
    """The lowest start of ``size`` elements that are in no active interval."""
    start = 0
    for first, end, _ in sorted(active):
        if first - start >= size:
            return start
        start = max(start, end)
    return start
