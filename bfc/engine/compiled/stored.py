"""Which values of a program are stored, and which are computed where they are read.

A value that is read once, element by element, is computed inside the loop that reads it; one that
is read often is stored. What stands along a short axis (the few features of a quadratic level) is
computed inside its readers with every element of that axis written out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import prod

from bfc.engine.compiled.program import (
    Constant,
    Input,
    Join,
    Map,
    NormalRows,
    Patch,
    Product,
    Reduce,
    Reshape,
    Shape,
    Value,
    View,
)

SHORT_AXIS = 16
"""Longest axis of which loops write out every element."""
MAX_WRITTEN_OUT = 64
"""Most elements of all short axes together that a loop writes out."""


@dataclass(frozen=True)
class Read:
    """How a value is read: by whom, and through what kind of views."""

    reader: Value | None
    """None: it is a result of the step."""
    is_reshaped: bool
    is_enlarged: bool
    """Whether its elements are read more than once each."""


def topological(results: Collection[Value]) -> list[Value]:
    """The values that the results follow from, sources first."""
    order: dict[Value, None] = {}
    stack = [(value, False) for value in reversed(list(results))]
    while stack:
        value, is_expanded = stack.pop()
        if value in order:
            continue
        if is_expanded:
            order[value] = None
        else:
            stack.append((value, True))
            stack += [(source, False) for source in reversed(value.sources)]
    return list(order)


def base_of(value: Value) -> tuple[Value, bool, bool]:
    """What a chain of views is of, whether it is reshaped, and whether it is enlarged."""
    is_reshaped, is_enlarged = False, False
    while isinstance(value, View | Reshape):
        is_reshaped |= isinstance(value, Reshape)
        is_enlarged |= value.size > value.source.size
        value = value.source
    return value, is_reshaped, is_enlarged


def reads_of(results: Collection[Value], values: list[Value]) -> dict[Value, list[Read]]:
    """Value that is no view → how it is read."""
    reads: dict[Value, list[Read]] = defaultdict(list)
    for value in values:
        if isinstance(value, View | Reshape):
            continue
        for source in value.sources:
            base, *kinds = base_of(source)
            reads[base].append(Read(value, *kinds))
    for result in results:
        base, *kinds = base_of(result)
        reads[base].append(Read(None, *kinds))
    return reads


def written_out(shape: Shape) -> tuple[int, ...]:
    """The axes of a loop over ``shape`` of which every element is written out.

    All short ones but the longest, as long as they have few elements together.
    """
    longest = max(range(len(shape)), key=lambda axis: shape[axis], default=0)
    chosen: list[int] = []
    for axis in sorted(range(len(shape)), key=lambda axis: shape[axis]):
        is_long = shape[axis] > SHORT_AXIS or (axis == longest and shape[axis] > 1)
        size = prod(shape[a] for a in chosen) * shape[axis]
        if not is_long and size <= MAX_WRITTEN_OUT:
            chosen.append(axis)
    return tuple(sorted(chosen))


def choose_stored(
    values: list[Value], reads: dict[Value, list[Read]], forced: frozenset[Value]
) -> set[Value]:
    """The values that are stored; ``forced`` are some that have to be."""
    stored: set[Value] = set()
    for value in values:
        if isinstance(value, View | Reshape | Constant | Input):
            continue
        if value in forced or _is_stored(value, reads[value], stored):
            stored.add(value)
    return stored


def _is_stored(value: Value, reads: list[Read], stored: set[Value]) -> bool:
    if isinstance(value, Map) and value.is_bool:
        return False
    if isinstance(value, Product | NormalRows):
        return True
    for read in reads:
        if read.reader is None or isinstance(read.reader, Product) or read.is_reshaped:
            return True
    if isinstance(value, Reduce):
        summed = prod(value.source.shape[axis] for axis in value.axes)
        return summed > (SHORT_AXIS if len(reads) == 1 else 4)
    if isinstance(value, Patch | Join):
        longest = max(value.shape)
        is_short = value.shape[value.axis] <= SHORT_AXIS and value.shape[value.axis] < longest
        return not is_short or value.size // longest > MAX_WRITTEN_OUT
    if any(read.is_enlarged for read in reads):
        return True
    return len(reads) > 1 and not _is_cheap(value, stored)


def _is_cheap(value: Value, stored: set[Value]) -> bool:
    """Whether a value is as fast to compute as to read: one operation on what is stored."""
    if not isinstance(value, Map) or value.op in ("div", "sqrt", "exp", "log1p"):
        return False
    bases = [base_of(arg)[0] for arg in value.args]
    return all(isinstance(base, Constant | Input) or base in stored for base in bases)


def inlined(value: Value, stored: set[Value]) -> Iterator[Value]:
    """The values that are computed where ``value`` is, itself and views included."""
    stack, seen = [value], {value}
    while stack:
        current = stack.pop()
        yield current
        for source in current.sources:
            if source not in stored and source not in seen:
                seen.add(source)
                stack.append(source)
