"""What the operations of torch that only rearrange elements mean for one replica.

Axes are given as torch gives them, with the replica axis first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bfc.engine.compiled.program import (
    AxisPosition,
    Constant,
    Indices,
    Join,
    Map,
    Patch,
    Reshape,
    Value,
    View,
    broadcast,
    takes_apart,
)
from bfc.engine.compiled.refusal import CannotCompile


def replica_axis(axis: int, rank: int) -> int:
    """An axis of a stack's tensor as one of a replica's of ``rank`` axes."""
    axis = axis + rank + 1 if axis < 0 else axis
    if axis == 0:
        raise CannotCompile("its step mixes replicas")
    return axis - 1


def expand(value: Value, shape: Sequence[int], **options: Any) -> Value:
    padded = (1,) * (len(shape) - 1 - len(value.shape)) + value.shape
    full = tuple(size if new == -1 else new for new, size in zip(shape[1:], padded, strict=True))
    return broadcast(value, full)


def reshape(value: Value, shape: Sequence[int]) -> Value:
    sizes = list(shape[1:])
    if -1 in sizes:
        rest = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = value.size // rest
    if math.prod(sizes) != value.size:
        raise CannotCompile("its step mixes replicas")
    if isinstance(value, Constant):
        return Constant(tuple(sizes), value.number)
    if tuple(sizes) == value.shape:
        return value
    source = value
    while isinstance(source, Reshape):
        source = source.source
    if isinstance(source, View) and takes_apart(tuple(sizes), source.shape):
        value = Map(value.shape, "copy", (value,))  # its elements have to be in order in memory
    return Reshape(tuple(sizes), value)


def permute(value: Value, order: Sequence[int]) -> Value:
    rank = len(value.shape)
    if order[0] not in (0, -rank - 1):
        raise CannotCompile("its step mixes replicas")
    axes = [replica_axis(axis, rank) for axis in order[1:]]

    def to_source(indices: Indices) -> Indices:
        placed = dict(zip(axes, indices, strict=True))
        return tuple(placed[axis] for axis in range(rank))

    return View(tuple(value.shape[axis] for axis in axes), value, to_source)


def transpose(value: Value, first: int, second: int) -> Value:
    rank = len(value.shape)
    a, b = replica_axis(first, rank) + 1, replica_axis(second, rank) + 1
    order = list(range(rank + 1))
    order[a], order[b] = b, a
    return permute(value, order)


def unsqueeze(value: Value, axis: int) -> Value:
    at = replica_axis(axis, len(value.shape) + 1)
    shape = (*value.shape[:at], 1, *value.shape[at:])
    return View(shape, value, lambda indices: (*indices[:at], *indices[at + 1 :]))


def squeeze(value: Value, axis: int | Sequence[int]) -> Value:
    axes = [axis] if isinstance(axis, int) else axis
    gone = [replica_axis(a, len(value.shape)) for a in axes]
    gone = [a for a in gone if value.shape[a] == 1]
    remaining = [a for a in range(len(value.shape)) if a not in gone]

    def to_source(indices: Indices) -> Indices:
        placed = dict(zip(remaining, indices, strict=True))
        return tuple(placed.get(a, AxisPosition()) for a in range(len(remaining) + len(gone)))

    return View(tuple(value.shape[a] for a in remaining), value, to_source)


def bounds(size: int, start: int | None, end: int | None) -> tuple[int, int]:
    first, last, _ = slice(start, end).indices(size)
    return first, max(first, last)


def take_slice(
    value: Value, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    at = replica_axis(axis, len(value.shape))
    first, last = bounds(value.shape[at], start, end)
    if (first, last, step) == (0, value.shape[at], 1):
        return value
    shape = (*value.shape[:at], -(-(last - first) // step), *value.shape[at + 1 :])

    def to_source(indices: Indices) -> Indices:
        return (*indices[:at], indices[at] * step + first, *indices[at + 1 :])

    return View(shape, value, to_source)


def select(value: Value, axis: int, position: int) -> Value:
    at = replica_axis(axis, len(value.shape))
    place = AxisPosition(position % value.shape[at])
    shape = (*value.shape[:at], *value.shape[at + 1 :])
    return View(shape, value, lambda indices: (*indices[:at], place, *indices[at:]))


def split(value: Value, size: int, axis: int = 0) -> list[Value]:
    at = replica_axis(axis, len(value.shape))
    starts = range(0, value.shape[at], size)
    return [take_slice(value, axis, start, start + size) for start in starts]


def diagonal(value: Value, offset: int = 0, first: int = 0, second: int = 1) -> Value:
    rank = len(value.shape)
    a, b = replica_axis(first, rank), replica_axis(second, rank)
    if offset != 0 or value.shape[a] != value.shape[b]:
        raise CannotCompile("its step reads a diagonal beside the middle")
    others = [axis for axis in range(rank) if axis not in (a, b)]

    def to_source(indices: Indices) -> Indices:
        placed = dict(zip(others, indices, strict=False))
        return tuple(placed.get(axis, indices[-1]) for axis in range(rank))

    return View((*(value.shape[axis] for axis in others), value.shape[a]), value, to_source)


def unbind(value: Value, axis: int = 0) -> list[Value]:
    return [
        select(value, axis, i) for i in range(value.shape[replica_axis(axis, len(value.shape))])
    ]


def slice_scatter(
    base: Value, part: Value, axis: int = 0, start: int | None = None, end: int | None = None
) -> Value:
    at = replica_axis(axis, len(base.shape))
    first, last = bounds(base.shape[at], start, end)
    if last - first == base.shape[at]:
        return part
    return Patch(base.shape, base, part, at, first)


def select_scatter(base: Value, part: Value, axis: int, position: int) -> Value:
    at = replica_axis(axis, len(base.shape))
    place = position % base.shape[at]
    return Patch(base.shape, base, unsqueeze(part, at + 1), at, place)


def cat(parts: Sequence[Value], axis: int = 0) -> Value:
    at = replica_axis(axis, len(parts[0].shape))
    if len(parts) == 1:
        return parts[0]
    length = sum(part.shape[at] for part in parts)
    shape = (*parts[0].shape[:at], length, *parts[0].shape[at + 1 :])
    return Join(shape, tuple(parts), at)


def stack(parts: Sequence[Value], axis: int = 0) -> Value:
    at = replica_axis(axis, len(parts[0].shape) + 1)
    return cat([unsqueeze(part, at + 1) for part in parts], at + 1)
