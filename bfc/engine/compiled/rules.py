"""What every operation of torch that occurs in a step means for one replica.

Axes are given as torch gives them, with the replica axis first; a rule is refused where it would
touch that axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bfc.engine.compiled.program import (
    Constant,
    Index,
    Indices,
    Join,
    Map,
    Patch,
    Product,
    Reduce,
    Reshape,
    Shape,
    Value,
    View,
    broadcast,
    takes_apart,
)
from bfc.engine.compiled.refusal import CannotCompile


@dataclass(frozen=True)
class Across:
    """The sum of the losses of all replicas, whose gradient is one in each; read by nothing else."""


def _axis(axis: int, rank: int) -> int:
    """An axis of a stack's tensor as one of a replica's of ``rank`` axes."""
    axis = axis + rank + 1 if axis < 0 else axis
    if axis == 0:
        raise CannotCompile("its step mixes replicas")
    return axis - 1


# Element by element


def _map(op: str, *args: Value | float, is_bool: bool = False) -> Value:
    values = [value for value in args if isinstance(value, Value)]
    rank = max(len(value.shape) for value in values)
    shape: Shape = (1,) * rank
    for value in values:
        padded = (1,) * (rank - len(value.shape)) + value.shape
        shape = tuple(max(pair) if min(pair) else 0 for pair in zip(shape, padded, strict=True))
    full = [
        broadcast(arg, shape) if isinstance(arg, Value) else Constant(shape, float(arg))
        for arg in args
    ]
    return Map(shape, op, tuple(full), is_bool)


def _times(value: Value, factor: float) -> Value:
    return value if factor == 1 else _map("mul", value, factor)


def _add(a: Value, b: Value | float, alpha: float = 1) -> Value:
    return _map("add", a, _times(b, alpha) if isinstance(b, Value) else b * alpha)


def _sub(a: Value, b: Value | float, alpha: float = 1) -> Value:
    return _map("sub", a, _times(b, alpha) if isinstance(b, Value) else b * alpha)


def _pow(base: Value, exponent: float) -> Value:
    if exponent == 0.5:
        return _map("sqrt", base)
    if exponent not in (1, 2, 3, 4):
        raise CannotCompile(f"its step raises to the power {exponent}")
    result = base
    for _ in range(int(exponent) - 1):
        result = _map("mul", result, base)
    return result


def _clamp(value: Value, low: float | None = None, high: float | None = None) -> Value:
    if low is not None:
        value = _map("at_least", value, low)
    return value if high is None else _map("at_most", value, high)


def _threshold_backward(grad: Value, value: Value, threshold: float) -> Value:
    return _map("where", _map("le", value, threshold, is_bool=True), 0.0, grad)


def _softplus(value: Value, beta: float = 1, threshold: float = 20) -> Value:
    scaled = _times(value, beta)
    soft = _times(_map("log1p", _map("exp", scaled)), 1 / beta)
    return _map("where", _map("gt", scaled, threshold, is_bool=True), value, soft)


def _softplus_backward(grad: Value, value: Value, beta: float, threshold: float) -> Value:
    scaled = _times(value, beta)
    e = _map("exp", scaled)
    soft = _map("div", _map("mul", grad, e), _map("add", e, 1.0))
    return _map("where", _map("gt", scaled, threshold, is_bool=True), grad, soft)


def _to_copy(value: Value, **options: Any) -> Value:
    if isinstance(value, Map) and value.is_bool:
        return _map("where", value, 1.0, 0.0)
    return value


def _comparison(op: str) -> Callable[[Value, Value | float], Value]:
    return lambda a, b: _map(op, a, b, is_bool=True)


def _unary(op: str) -> Callable[[Value], Value]:
    return lambda value: _map(op, value)


def _same(value: Value, **options: Any) -> Value:
    return value


def _fill(number: float) -> Callable[..., Value]:
    def fill(value: Value | Across, **options: Any) -> Value:
        return Constant(() if isinstance(value, Across) else value.shape, number)

    return fill


def _new(value: Value, shape: Sequence[int], **options: Any) -> Value:
    return Constant(tuple(shape[1:]), 0.0)


# Views


def _expand(value: Value, shape: Sequence[int], **options: Any) -> Value:
    own = (1,) * (len(shape) - 1 - len(value.shape)) + value.shape
    full = tuple(
        size if new == -1 else new for new, size in zip(shape[1:], own, strict=True)
    )
    return broadcast(value, full)


def _reshape(value: Value, shape: Sequence[int]) -> Value:
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
        value = _map("copy", value)  # its elements have to be in order in memory
    return Reshape(tuple(sizes), value)


def _permute(value: Value, order: Sequence[int]) -> Value:
    rank = len(value.shape)
    if order[0] not in (0, -rank - 1):
        raise CannotCompile("its step mixes replicas")
    axes = [_axis(axis, rank) for axis in order[1:]]

    def to_source(indices: Indices) -> Indices:
        placed = dict(zip(axes, indices, strict=True))
        return tuple(placed[axis] for axis in range(rank))

    return View(tuple(value.shape[axis] for axis in axes), value, to_source)


def _transpose(value: Value, first: int, second: int) -> Value:
    rank = len(value.shape)
    a, b = _axis(first, rank) + 1, _axis(second, rank) + 1
    order = list(range(rank + 1))
    order[a], order[b] = b, a
    return _permute(value, order)


def _unsqueeze(value: Value, axis: int) -> Value:
    at = _axis(axis, len(value.shape) + 1)
    shape = (*value.shape[:at], 1, *value.shape[at:])
    return View(shape, value, lambda indices: (*indices[:at], *indices[at + 1 :]))


def _squeeze(value: Value, axis: int | Sequence[int]) -> Value:
    axes = [axis] if isinstance(axis, int) else axis
    gone = [_axis(a, len(value.shape)) for a in axes]
    gone = [a for a in gone if value.shape[a] == 1]
    kept = [a for a in range(len(value.shape)) if a not in gone]

    def to_source(indices: Indices) -> Indices:
        placed = dict(zip(kept, indices, strict=True))
        return tuple(placed.get(a, Index()) for a in range(len(kept) + len(gone)))

    return View(tuple(value.shape[a] for a in kept), value, to_source)


def _bounds(size: int, start: int | None, end: int | None) -> tuple[int, int]:
    first, last, _ = slice(start, end).indices(size)
    return first, max(first, last)


def _slice(
    value: Value, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    at = _axis(axis, len(value.shape))
    first, last = _bounds(value.shape[at], start, end)
    if (first, last, step) == (0, value.shape[at], 1):
        return value
    shape = (*value.shape[:at], -(-(last - first) // step), *value.shape[at + 1 :])

    def to_source(indices: Indices) -> Indices:
        return (*indices[:at], indices[at] * step + first, *indices[at + 1 :])

    return View(shape, value, to_source)


def _select(value: Value, axis: int, position: int) -> Value:
    at = _axis(axis, len(value.shape))
    place = Index(position % value.shape[at])
    shape = (*value.shape[:at], *value.shape[at + 1 :])
    return View(shape, value, lambda indices: (*indices[:at], place, *indices[at:]))


def _unbind(value: Value, axis: int = 0) -> list[Value]:
    return [_select(value, axis, i) for i in range(value.shape[_axis(axis, len(value.shape))])]


def _slice_scatter(
    base: Value, part: Value, axis: int = 0, start: int | None = None, end: int | None = None
) -> Value:
    at = _axis(axis, len(base.shape))
    first, last = _bounds(base.shape[at], start, end)
    if last - first == base.shape[at]:
        return part
    return Patch(base.shape, base, part, at, first)


def _select_scatter(base: Value, part: Value, axis: int, position: int) -> Value:
    at = _axis(axis, len(base.shape))
    place = position % base.shape[at]
    return Patch(base.shape, base, _unsqueeze(part, at + 1), at, place)


def _cat(parts: Sequence[Value], axis: int = 0) -> Value:
    at = _axis(axis, len(parts[0].shape))
    if len(parts) == 1:
        return parts[0]
    length = sum(part.shape[at] for part in parts)
    shape = (*parts[0].shape[:at], length, *parts[0].shape[at + 1 :])
    return Join(shape, tuple(parts), at)


def _stack(parts: Sequence[Value], axis: int = 0) -> Value:
    at = _axis(axis, len(parts[0].shape) + 1)
    return _cat([_unsqueeze(part, at + 1) for part in parts], at + 1)


# Sums and products


def _sum(value: Value, axes: Sequence[int], keep: bool = False, **options: Any) -> Value:
    rank = len(value.shape)
    gone = tuple(sorted(_axis(axis, rank) for axis in axes))
    kept = [axis for axis in range(rank) if axis not in gone]
    total: Value = Reduce(tuple(value.shape[axis] for axis in kept), value, gone)
    if keep:
        for axis in gone:
            total = _unsqueeze(total, axis + 1)
    return total


def _mean(value: Value, axes: Sequence[int], keep: bool = False, **options: Any) -> Value:
    count = math.prod(value.shape[_axis(axis, len(value.shape))] for axis in axes)
    return _times(_sum(value, axes, keep), 1 / count)


def _norm(
    value: Value, order: float = 2, axes: Sequence[int] = (), keep: bool = False, **options: Any
) -> Value:
    if order != 2:
        raise CannotCompile(f"its step takes a norm of order {order}")
    return _map("sqrt", _sum(_map("mul", value, value), axes, keep))


def _bmm(left: Value, right: Value) -> Value:
    return Product((left.shape[0], right.shape[1]), left, right)


def _baddbmm(base: Value, left: Value, right: Value, beta: float = 1, alpha: float = 1) -> Value:
    return _add(_times(_bmm(left, right), alpha), _times(base, beta))


RULES: dict[str, Callable[..., Any]] = {
    "add.Tensor": _add,
    "sub.Tensor": _sub,
    "rsub.Scalar": lambda a, b, alpha=1: _map("sub", _constant_like(a, b), _times(a, alpha)),
    "mul.Tensor": lambda a, b: _map("mul", a, b),
    "mul.Scalar": lambda a, b: _map("mul", a, b),
    "div.Tensor": lambda a, b: _map("div", a, b),
    "div.Scalar": lambda a, b: _map("div", a, b),
    "reciprocal.default": lambda a: _map("div", _constant_like(a, 1.0), a),
    "neg.default": _unary("neg"),
    "sqrt.default": _unary("sqrt"),
    "abs.default": _unary("abs"),
    "sign.default": _unary("sign"),
    "sgn.default": _unary("sign"),
    "exp.default": _unary("exp"),
    "relu.default": _unary("relu"),
    "pow.Tensor_Scalar": _pow,
    "clamp.default": _clamp,
    "clamp_min.default": lambda a, low: _clamp(a, low=low),
    "clamp_max.default": lambda a, high: _clamp(a, high=high),
    "threshold_backward.default": _threshold_backward,
    "softplus.default": _softplus,
    "softplus_backward.default": _softplus_backward,
    "where.self": lambda condition, a, b: _map("where", condition, a, b),
    "logical_and.default": lambda a, b: _map("and", a, b, is_bool=True),
    "addcmul.default": lambda a, b, c, value=1: _add(a, _map("mul", b, c), value),
    "addcdiv.default": lambda a, b, c, value=1: _add(a, _map("div", b, c), value),
    "lerp.Scalar": lambda a, b, weight: _add(a, _times(_sub(b, a), weight)),
    "_to_copy.default": _to_copy,
    "clone.default": _same,
    "detach.default": _same,
    "alias.default": _same,
    "copy.default": lambda value, source: broadcast(source, value.shape),
    "ones_like.default": _fill(1.0),
    "zeros_like.default": _fill(0.0),
    "new_empty.default": _new,
    "new_zeros.default": _new,
    "expand.default": _expand,
    "view.default": _reshape,
    "_unsafe_view.default": _reshape,
    "transpose.int": _transpose,
    "permute.default": _permute,
    "unsqueeze.default": _unsqueeze,
    "squeeze.dim": _squeeze,
    "squeeze.dims": _squeeze,
    "slice.Tensor": _slice,
    "select.int": _select,
    "unbind.int": _unbind,
    "slice_scatter.default": _slice_scatter,
    "select_scatter.default": _select_scatter,
    "cat.default": _cat,
    "stack.default": _stack,
    "sum.dim_IntList": _sum,
    "sum.default": lambda value: Across(),
    "mean.dim": _mean,
    "linalg_vector_norm.default": _norm,
    "bmm.default": _bmm,
    "baddbmm.default": _baddbmm,
    "<built-in function getitem>": lambda values, position: values[position],
}
for _name in ("gt", "ge", "lt", "le", "eq", "ne"):
    RULES[f"{_name}.Scalar"] = RULES[f"{_name}.Tensor"] = _comparison(_name)


def _constant_like(value: Value, number: float) -> Value:
    return Constant(value.shape, number)
