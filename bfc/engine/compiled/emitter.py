"""LLVM instructions for elements of values: every number is a vector with one lane per replica."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from llvmlite import ir

from bfc.engine.compiled.lanes import Lanes
from bfc.engine.compiled.program import AxisPosition, Value
from bfc.engine.compiled.storage import Place

I64 = ir.IntType(64)
I32 = ir.IntType(32)
POINTER = ir.PointerType()
CONTRACT = ("contract",)
"""A product and a sum may become one instruction, which rounds once."""


class LlvmEmitter:
    """A machine (:mod:`bfc.engine.compiled.evaluate`) that emits instructions into a function."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        lanes: Lanes,
        pointers: dict[str, ir.Value],
        places: dict[Value, Place],
    ) -> None:
        self.builder, self.lanes = builder, lanes
        self.pointers, self.places = pointers, places
        """Region → pointer to its first element."""
        self.variables: dict[str, ir.Value] = {}
        """Loop variables that are defined at this point."""

    # memory

    def integer(self, number: int) -> ir.Constant:
        return ir.Constant(I64, number)

    def position(self, index: AxisPosition) -> ir.Value:
        """An index as an integer."""
        total: ir.Value = self.integer(index.const)
        for name, factor in index.terms:
            term = self.variables[name]
            if factor != 1:
                term = self.builder.mul(term, self.integer(factor))
            total = self.builder.add(term, total)
        return total

    def address(self, place: Place, offset: AxisPosition) -> ir.Value:
        """Of an element, ``offset`` elements from ``place``."""
        kind = self.lanes.scalar if place.region == "shared" else self.lanes.vector
        varying = self.position(AxisPosition(0, offset.terms))
        pointer = self.builder.gep(self.pointers[place.region], [varying], source_etype=kind)
        constant = self.integer(place.offset + offset.const)
        return self.builder.gep(pointer, [constant], source_etype=kind)

    def load(self, value: Value, offset: AxisPosition) -> ir.Value:
        return self.load_place(self.places[value], offset)

    def load_place(self, place: Place, offset: AxisPosition) -> ir.Value:
        address = self.address(place, offset)
        if place.region == "shared":
            number = self.builder.load(address, typ=self.lanes.scalar)
            return self.splat(number)
        align = self.lanes.count * torch.finfo(self.lanes.dtype).bits // 8
        return self.builder.load(address, typ=self.lanes.vector, align=align)

    def store(self, number: ir.Value, place: Place, offset: AxisPosition) -> None:
        align = self.lanes.count * torch.finfo(self.lanes.dtype).bits // 8
        self.builder.store(number, self.address(place, offset), align=align)

    def splat(self, number: ir.Value) -> ir.Value:
        """The same number in all lanes."""
        undefined = ir.Constant(self.lanes.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, number, ir.Constant(I32, 0))
        mask = ir.Constant(ir.VectorType(I32, self.lanes.count), [0] * self.lanes.count)
        return self.builder.shuffle_vector(first, undefined, mask)

    # arithmetic

    def constant(self, number: float) -> ir.Value:
        number = float(torch.tensor(number, dtype=self.lanes.dtype))
        values = [ir.Constant(self.lanes.scalar, number)] * self.lanes.count
        return ir.Constant(self.lanes.vector, values)

    def operate(self, op: str, args: list[Any]) -> ir.Value:
        return OPERATIONS[op](self, *args)

    def intrinsic(self, name: str, *args: ir.Value) -> ir.Value:
        """LLVM's own operation ``name`` on vectors."""
        vector = self.lanes.vector
        return self._call(f"llvm.{name}.{self.lanes.suffix}", vector, args)

    def fma(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """a b + c, rounded once."""
        return self.intrinsic("fma", a, b, c)

    def per_lane(self, name: str, value: ir.Value) -> ir.Value:
        """A function of the C library, lane by lane."""
        name = name if self.lanes.dtype == torch.float64 else f"{name}f"
        result: ir.Value = ir.Constant(self.lanes.vector, ir.Undefined)
        for lane in range(self.lanes.count):
            place = ir.Constant(I32, lane)
            number = self.builder.extract_element(value, place)
            number = self._call(name, self.lanes.scalar, [number])
            result = self.builder.insert_element(result, number, place)
        return result

    def _call(self, name: str, kind: ir.Type, args: Sequence[ir.Value]) -> ir.Value:
        module = self.builder.module
        function = module.globals.get(name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(kind, [kind] * len(args)), name)
        return self.builder.call(function, args)

    # loops

    def loop(
        self,
        name: str,
        size: int,
        body: Callable[[list[ir.Value]], list[ir.Value]],
        carried: Sequence[ir.Value] = (),
        step: int = 1,
    ) -> list[ir.Value]:
        """Run ``body`` for the loop variable ``name`` = 0, ``step``, ... below ``size``.

        ``carried`` are the values that each pass gets from the one before; those of the last are
        returned.
        """
        if size <= step:
            self.variables[name] = self.integer(0)
            return body(list(carried))
        return self.counted_loop(name, self.integer(size), body, carried, step)

    def counted_loop(
        self,
        name: str,
        size: ir.Value,
        body: Callable[[list[ir.Value]], list[ir.Value]],
        carried: Sequence[ir.Value] = (),
        step: int = 1,
    ) -> list[ir.Value]:
        """:meth:`loop` for a size that is known at run time, at least one."""
        builder, before = self.builder, self.builder.block
        block = builder.append_basic_block(name)
        builder.branch(block)
        builder.position_at_end(block)
        variable = builder.phi(I64)
        variable.add_incoming(self.integer(0), before)
        values = []
        for value in carried:
            phi = builder.phi(value.type)
            phi.add_incoming(value, before)
            values.append(phi)
        self.variables[name] = variable
        results = body(list(values))
        following, last = builder.add(variable, self.integer(step)), builder.block
        variable.add_incoming(following, last)
        for phi, result in zip(values, results, strict=True):
            phi.add_incoming(result, last)
        after = builder.append_basic_block(f"after_{name}")
        builder.cbranch(builder.icmp_unsigned("<", following, size), block, after)
        builder.position_at_end(after)
        del self.variables[name]
        return results


def _arithmetic(method: str) -> Callable[..., ir.Value]:
    def emit(emitter: LlvmEmitter, a: ir.Value, b: ir.Value) -> ir.Value:
        instruction: Callable[..., ir.Value] = getattr(emitter.builder, method)
        return instruction(a, b, flags=CONTRACT)

    return emit


def _comparison(sign: str) -> Callable[..., ir.Value]:
    return lambda emitter, a, b: emitter.builder.fcmp_ordered(sign, a, b)


def _relu(emitter: LlvmEmitter, a: ir.Value) -> ir.Value:
    """max(a, 0); not a number stays what it is."""
    zero = emitter.constant(0.0)
    return emitter.builder.select(emitter.builder.fcmp_unordered(">", a, zero), a, zero)


def _sign(emitter: LlvmEmitter, a: ir.Value) -> ir.Value:
    builder, zero = emitter.builder, emitter.constant(0.0)
    positive = builder.select(builder.fcmp_ordered(">", a, zero), emitter.constant(1.0), zero)
    return builder.select(builder.fcmp_ordered("<", a, zero), emitter.constant(-1.0), positive)


def _at_least(emitter: LlvmEmitter, a: ir.Value, low: ir.Value) -> ir.Value:
    return emitter.builder.select(emitter.builder.fcmp_ordered("<", a, low), low, a)


def _at_most(emitter: LlvmEmitter, a: ir.Value, high: ir.Value) -> ir.Value:
    return emitter.builder.select(emitter.builder.fcmp_ordered(">", a, high), high, a)


OPERATIONS: dict[str, Callable[..., ir.Value]] = {
    "add": _arithmetic("fadd"),
    "sub": _arithmetic("fsub"),
    "mul": _arithmetic("fmul"),
    "div": _arithmetic("fdiv"),
    "copy": lambda emitter, a: a,
    "neg": lambda emitter, a: emitter.builder.fneg(a),
    "sqrt": lambda emitter, a: emitter.intrinsic("sqrt", a),
    "abs": lambda emitter, a: emitter.intrinsic("fabs", a),
    "exp": lambda emitter, a: emitter.per_lane("exp", a),
    "log1p": lambda emitter, a: emitter.per_lane("log1p", a),
    "relu": _relu,
    "sign": _sign,
    "at_least": _at_least,
    "at_most": _at_most,
    "where": lambda emitter, condition, a, b: emitter.builder.select(condition, a, b),
    "and": lambda emitter, a, b: emitter.builder.and_(a, b),
    "gt": _comparison(">"),
    "ge": _comparison(">="),
    "lt": _comparison("<"),
    "le": _comparison("<="),
    "eq": _comparison("=="),
    "ne": lambda emitter, a, b: emitter.builder.fcmp_unordered("!=", a, b),
}
