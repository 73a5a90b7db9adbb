"""Reads the rows of a batch from a pool: a row per replica becomes a lane of every number.

A square block of as many rows as columns is loaded row by row and transposed in registers.
"""

from __future__ import annotations

from llvmlite import ir

from bfc.engine.compiled.emitter import I32, I64, LlvmEmitter
from bfc.engine.compiled.program import AxisPosition
from bfc.engine.compiled.storage import Place
from bfc.engine.compiled.streams import draw_position


def emit_gather(emitter: LlvmEmitter, rows: int, width: int) -> None:
    """Fill the region ``batch``: inputs (rows, width), then labels (rows).

    Which rows is said by the regions ``rows`` or ``stream``
    (:data:`bfc.engine.compiled.step_code.ARGUMENTS`).
    """
    builder, lanes = emitter.builder, emitter.lanes.count
    numbers = ir.VectorType(I64, lanes)
    given = builder.ptrtoint(emitter.pointers["rows"], I64)
    is_drawn = builder.icmp_unsigned("==", given, emitter.integer(0))
    first = builder.mul(emitter.variables["t"], emitter.integer(rows))

    def body(_: list[ir.Value]) -> list[ir.Value]:
        row = builder.add(first, emitter.variables["b"])
        with builder.if_else(is_drawn) as (then, otherwise):
            with then:
                drawn, drawn_block = draw_position(emitter, rows), builder.block
            with otherwise:
                address = builder.gep(emitter.pointers["rows"], [row], source_etype=numbers)
                read, read_block = builder.load(address, typ=numbers, align=8), builder.block
        chosen = builder.phi(numbers)
        chosen.add_incoming(drawn, drawn_block)
        chosen.add_incoming(read, read_block)
        places = []
        for lane in range(lanes):
            places.append(builder.extract_element(chosen, ir.Constant(I32, lane)))
        _gather_inputs(emitter, places, width)
        labels = _gather_column(emitter, "pool_y", places)
        emitter.store(labels, Place("batch", rows * width), AxisPosition.variable("b"))
        return []

    emitter.loop("b", rows, body)


def _gather_inputs(emitter: LlvmEmitter, places: list[ir.Value], width: int) -> None:
    lanes, batch = emitter.lanes.count, Place("batch", 0)
    starts = [emitter.builder.mul(place, emitter.integer(width)) for place in places]
    row = AxisPosition.variable("b") * width
    if width < lanes:
        for column in range(width):
            at = [emitter.builder.add(start, emitter.integer(column)) for start in starts]
            emitter.store(_gather_column(emitter, "pool_x", at), batch, row + column)
        return
    firsts = [*range(0, width - lanes + 1, lanes)]
    if width % lanes:
        firsts.append(width - lanes)  # overlaps the block before it
    for first in firsts:
        block = []
        for start in starts:
            at = emitter.builder.add(start, emitter.integer(first))
            address = _pool_address(emitter, "pool_x", at)
            align = 8 if emitter.lanes.scalar.intrinsic_name == "f64" else 4
            block.append(emitter.builder.load(address, typ=emitter.lanes.vector, align=align))
        for column, numbers in enumerate(_transposed(emitter, block)):
            emitter.store(numbers, batch, row + (first + column))


def _gather_column(emitter: LlvmEmitter, pool: str, places: list[ir.Value]) -> ir.Value:
    """The numbers at ``places`` of a pool, one per lane."""
    result: ir.Value = ir.Constant(emitter.lanes.vector, ir.Undefined)
    for lane, place in enumerate(places):
        address = _pool_address(emitter, pool, place)
        number = emitter.builder.load(address, typ=emitter.lanes.scalar)
        result = emitter.builder.insert_element(result, number, ir.Constant(I32, lane))
    return result


def _pool_address(emitter: LlvmEmitter, pool: str, place: ir.Value) -> ir.Value:
    scalar = emitter.lanes.scalar
    return emitter.builder.gep(emitter.pointers[pool], [place], source_etype=scalar)


def _transposed(emitter: LlvmEmitter, block: list[ir.Value]) -> list[ir.Value]:
    """Row i, lane j → row j, lane i, by exchanging ever larger squares."""
    lanes = len(block)
    distance = 1
    while distance < lanes:
        exchanged = list(block)
        low = [j if not j & distance else lanes + (j ^ distance) for j in range(lanes)]
        high = [j ^ distance if not j & distance else lanes + j for j in range(lanes)]
        for i in range(lanes):
            if not i & distance:
                a, b = block[i], block[i | distance]
                exchanged[i] = _shuffle(emitter, a, b, low)
                exchanged[i | distance] = _shuffle(emitter, a, b, high)
        block, distance = exchanged, 2 * distance
    return block


def _shuffle(emitter: LlvmEmitter, a: ir.Value, b: ir.Value, places: list[int]) -> ir.Value:
    mask = ir.Constant(ir.VectorType(I32, len(places)), places)
    return emitter.builder.shuffle_vector(a, b, mask)
