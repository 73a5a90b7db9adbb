"""The counter-based streams of :mod:`bfc.random` in lanes: each draws from its own keys.

What they are drawn with is the region ``stream``
(:data:`bfc.engine.compiled.step_code.ARGUMENTS`). Words are the same bit for bit; normal numbers
agree with those of torch to rounding, since its logarithm, sine and cosine are others.
"""

from __future__ import annotations

import math

from llvmlite import ir

from bfc import random
from bfc.engine.compiled.elementary import log, sine_and_cosine
from bfc.engine.compiled.emitter import I32, I64, LlvmEmitter
from bfc.engine.compiled.program import AxisPosition, NormalRows
from bfc.engine.compiled.storage import Loop

KEY, COUNT, START, FIRST_STEP = range(4)
"""The first vectors of the region ``stream``; keys of the streams of fresh rows follow."""


def read_stream(emitter: LlvmEmitter, number: int) -> ir.Value:
    """One of the vectors of the region ``stream``."""
    vector, place = ir.VectorType(I64, emitter.lanes.count), emitter.integer(number)
    address = emitter.builder.gep(emitter.pointers["stream"], [place], source_etype=vector)
    return emitter.builder.load(address, typ=vector, align=8)


def row_number(emitter: LlvmEmitter, rows: int) -> ir.Value:
    """The number of row ``b`` of this step among all that the lanes have read, ``rows`` a step."""
    builder = emitter.builder
    taken = in_all_lanes(emitter, emitter.variables["t"])
    step = builder.add(read_stream(emitter, FIRST_STEP), taken)
    within = in_all_lanes(emitter, emitter.variables["b"])
    return builder.add(builder.mul(step, same(emitter, rows)), within)


def draw_position(emitter: LlvmEmitter, rows: int) -> ir.Value:
    """A row of the pool, as :func:`bfc.random.integers` draws it."""
    builder = emitter.builder
    counter = builder.mul(row_number(emitter, rows), same(emitter, random.GOLDEN))
    word = _mix(emitter, builder.add(counter, read_stream(emitter, KEY)))
    scaled = builder.mul(builder.lshr(word, same(emitter, 32)), read_stream(emitter, COUNT))
    return builder.add(builder.lshr(scaled, same(emitter, 32)), read_stream(emitter, START))


def emit_normal_rows(emitter: LlvmEmitter, loop: Loop, core: NormalRows, key: int) -> None:
    """Rows as :func:`bfc.random.normal_rows` draws them, with the key at ``key`` of the stream."""
    rows, width = core.shape
    pairs = (width + 1) // 2
    builder = emitter.builder

    def store(number: ir.Value, column: AxisPosition) -> None:
        offset = AxisPosition.variable("b") * loop.strides[0] + column * loop.strides[1]
        emitter.store(number, loop.place, offset)

    def row(_: list[ir.Value]) -> list[ir.Value]:
        counter = builder.mul(row_number(emitter, rows), same(emitter, pairs))
        counter = builder.mul(counter, same(emitter, random.GOLDEN))
        first = builder.add(counter, read_stream(emitter, key))

        def pair(_: list[ir.Value]) -> list[ir.Value]:
            distance = builder.mul(emitter.variables["j"], emitter.integer(random.GOLDEN))
            counter = builder.add(first, in_all_lanes(emitter, distance))
            cosine, sine = _normal_pair(emitter, _mix(emitter, counter))
            store(cosine, AxisPosition.variable("j"))
            store(sine, AxisPosition.variable("j") + pairs)
            return []

        if width > 1:
            emitter.loop("j", width // 2, pair)
        if width % 2:
            last = same(emitter, (pairs - 1) * random.GOLDEN & 0xFFFFFFFFFFFFFFFF)
            cosine, _ = _normal_pair(emitter, _mix(emitter, builder.add(first, last)))
            store(cosine, AxisPosition(pairs - 1))
        return []

    emitter.loop("b", rows, row)


def _normal_pair(emitter: LlvmEmitter, word: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Box-Muller: two normal numbers of a word of 64 bits."""
    builder = emitter.builder
    unit = builder.fadd(_half(emitter, word, 32), emitter.constant(0.5))
    unit = builder.fmul(unit, emitter.constant(2.0**-32))
    radius = builder.fmul(log(emitter, unit), emitter.constant(-2.0))
    radius = emitter.intrinsic("sqrt", radius)
    turn = emitter.constant(2.0 * math.pi * 2.0**-32)
    sine, cosine = sine_and_cosine(emitter, builder.fmul(_half(emitter, word, 0), turn))
    return builder.fmul(radius, cosine), builder.fmul(radius, sine)


def _half(emitter: LlvmEmitter, word: ir.Value, shift: int) -> ir.Value:
    """32 bits of a word as a number."""
    builder = emitter.builder
    shifted = builder.lshr(word, same(emitter, shift)) if shift else word
    low = builder.trunc(shifted, ir.VectorType(I32, emitter.lanes.count))
    return builder.uitofp(low, emitter.lanes.vector)


def _mix(emitter: LlvmEmitter, z: ir.Value) -> ir.Value:
    """The finaliser of SplitMix64 of counters times a constant plus keys."""
    builder = emitter.builder

    def folded(z: ir.Value, shift: int) -> ir.Value:
        return builder.xor(z, builder.lshr(z, same(emitter, shift)))

    z = builder.mul(folded(z, 30), same(emitter, random.MIX[0]))
    z = builder.mul(folded(z, 27), same(emitter, random.MIX[1]))
    return folded(z, 31)


def same(emitter: LlvmEmitter, number: int) -> ir.Constant:
    """An integer in all lanes."""
    vector = ir.VectorType(I64, emitter.lanes.count)
    return ir.Constant(vector, [ir.Constant(I64, number)] * emitter.lanes.count)


def in_all_lanes(emitter: LlvmEmitter, number: ir.Value) -> ir.Value:
    """An integer that is computed, in all lanes."""
    vector = ir.VectorType(I64, emitter.lanes.count)
    undefined = ir.Constant(vector, ir.Undefined)
    first = emitter.builder.insert_element(undefined, number, ir.Constant(I32, 0))
    mask = ir.Constant(ir.VectorType(I32, emitter.lanes.count), [0] * emitter.lanes.count)
    return emitter.builder.shuffle_vector(first, undefined, mask)
