"""What every operation of torch that occurs in a step means for one replica.

Axes are given as torch gives them, with the replica axis first; a rule is refused where it would
touch that axis.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bfc.engine.compiled import views
from bfc.engine.compiled.program import (
    Constant,
    Input,
    Map,
    NormalRows,
    Product,
    Reduce,
    Shape,
    Value,
    broadcast,
)
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.tables import Table, fixed_positions
from bfc.engine.compiled.views import replica_axis, unsqueeze


@dataclass(frozen=True)
class Across:
    """The sum of the losses of all replicas, of which only the gradient is read: one in each."""


# Element by element


CONDITIONS = {"where": 1, "and": 2}
"""Operation → how many of its arguments, from the first on, are conditions and no numbers."""


def _map(op: str, *args: Value | float, is_bool: bool = False) -> Value:
    conditions = CONDITIONS.get(op, 0)
    args = (*args[:conditions], *map(_as_number, args[conditions:]))
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


def _as_number(value: Value | float) -> Value | float:
    """One where a condition holds and zero where not; numbers as they are."""
    is_condition = isinstance(value, Map) and value.is_bool
    return _map("where", value, 1.0, 0.0) if is_condition else value


def _to_copy(value: Value, **options: Any) -> Value | float:
    return _as_number(value)


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


def _index(value: Value, positions: Sequence[Table | None]) -> Value:
    """Elements at fixed positions along one axis."""
    axis, places = fixed_positions(positions)
    return views.stack([views.select(value, axis, place) for place in places], axis)


def _index_put(
    base: Value, positions: Sequence[Table | None], values: Value, accumulate: bool = False
) -> Value:
    """``base`` with values put, or added, at fixed positions along one axis."""
    axis, places = fixed_positions(positions)
    parts = [views.select(base, axis, place) for place in range(base.shape[axis - 1])]
    for number, place in enumerate(places):
        part = views.select(values, axis, number)
        parts[place] = _add(parts[place], part) if accumulate else part
    return views.stack(parts, axis)


# Sums and products


def _sum(value: Value, axes: Sequence[int], keep: bool = False, **options: Any) -> Value:
    rank = len(value.shape)
    gone = tuple(sorted(replica_axis(axis, rank) for axis in axes))
    remaining = [axis for axis in range(rank) if axis not in gone]
    total: Value = Reduce(tuple(value.shape[axis] for axis in remaining), value, gone)
    if keep:
        for axis in gone:
            total = unsqueeze(total, axis + 1)
    return total


def _mean(value: Value, axes: Sequence[int], keep: bool = False, **options: Any) -> Value:
    count = math.prod(value.shape[replica_axis(axis, len(value.shape))] for axis in axes)
    return _times(_sum(value, axes, keep), 1 / count)


def _log_softmax(value: Value, axis: int, half_to_float: bool) -> Value:
    """Minus the logarithm of a sum that is at least 1, since its largest term is."""
    size = value.shape[replica_axis(axis, len(value.shape))]
    columns = [views.select(value, axis, position) for position in range(size)]
    largest = functools.reduce(lambda a, b: _map("at_least", a, b), columns)
    shifted = _sub(value, unsqueeze(largest, axis))
    total = _sum(_map("exp", shifted), [axis], keep=True)
    return _sub(shifted, _map("log1p", _sub(total, 1.0)))


def _log_softmax_backward(grad: Value, output: Value, axis: int, dtype: Any) -> Value:
    return _sub(grad, _map("mul", _map("exp", output), _sum(grad, [axis], keep=True)))


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


def _normal_rows(key: Value, rows: Value, width: int, dtype: Any = None) -> Value:
    is_batch = isinstance(key, Input) and isinstance(rows, Input) and rows.name == "rows"
    if not is_batch:
        raise CannotCompile("it draws numbers for other rows than those of a batch")
    assert isinstance(key, Input)
    return NormalRows((rows.shape[0], width), key.name)


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
    "expand.default": views.expand,
    "view.default": views.reshape,
    "_unsafe_view.default": views.reshape,
    "transpose.int": views.transpose,
    "permute.default": views.permute,
    "unsqueeze.default": views.unsqueeze,
    "squeeze.dim": views.squeeze,
    "squeeze.dims": views.squeeze,
    "slice.Tensor": views.take_slice,
    "select.int": views.select,
    "unbind.int": views.unbind,
    "split.Tensor": views.split,
    "diagonal.default": views.diagonal,
    "slice_scatter.default": views.slice_scatter,
    "select_scatter.default": views.select_scatter,
    "cat.default": views.cat,
    "stack.default": views.stack,
    "index.Tensor": _index,
    "index_put.default": _index_put,
    "normal_rows": _normal_rows,
    "sum.dim_IntList": _sum,
    "sum.default": lambda value: Across(),
    "mean.dim": _mean,
    "linalg_vector_norm.default": _norm,
    "_log_softmax.default": _log_softmax,
    "_log_softmax_backward_data.default": _log_softmax_backward,
    "bmm.default": _bmm,
    "baddbmm.default": _baddbmm,
    "getitem": lambda values, position: values[position],
}
TAKING_TABLES = ("index.Tensor", "index_put.default")
"""Rules of which an argument may be a :class:`Table`."""
for _name in ("gt", "ge", "lt", "le", "eq", "ne"):
    RULES[f"{_name}.Scalar"] = RULES[f"{_name}.Tensor"] = _comparison(_name)


def _constant_like(value: Value, number: float) -> Value:
    return Constant(value.shape, number)
