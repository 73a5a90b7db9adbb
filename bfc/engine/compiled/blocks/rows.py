"""Rows of a batch, as many at a time as fit a tile: read from a pool, or drawn by the streams."""

from __future__ import annotations

import math

from bfc import random
from bfc.engine.compiled.blocks.emitter import TritonEmitter, Variable, tile_length
from bfc.engine.compiled.program import AxisPosition, NormalRows
from bfc.engine.compiled.storage import Loop, Place

MAX_NUMBERS = 4096
"""Numbers of a tile of rows."""


def emit_rows(emitter: TritonEmitter, rows: int, width: int) -> None:
    """Fill the region ``batch``: inputs (rows, width), then labels (rows).

    Which rows is said by ``rows`` or ``stream``
    (:class:`bfc.engine.compiled.hardware.StepTensors`).
    """
    columns = tile_length(width, MAX_NUMBERS)
    count = tile_length(rows, max(1, MAX_NUMBERS // columns))
    with emitter.tiles(rows, count) as b:
        numbers = _row_numbers(emitter, b, rows)
        emitter.variables = {"b": b}
        labels = emitter.assign(f"tl.load(pool_y + {numbers}{_masked(b.mask)})")
        emitter.store(labels, Place("batch", rows * width), AxisPosition.variable("b"))
        with emitter.tiles(width, columns) as j:
            emitter.variables = {"b": b.along(0), "j": j.along(1)}
            address = f"pool_x + {numbers}[:, None] * {width} + {j.along(1).values}"
            mask = emitter.mask(AxisPosition.variable("b") + AxisPosition.variable("j"))
            inputs = emitter.assign(f"tl.load({address}{_masked(mask)})")
            place = AxisPosition.variable("b") * width + AxisPosition.variable("j")
            emitter.store(inputs, Place("batch", 0), place)


def _masked(mask: str | None) -> str:
    return "" if mask is None else f", mask={mask}, other=0"


def _row_numbers(emitter: TritonEmitter, b: Variable, rows: int) -> str:
    """Row numbers in the pool: those given, or as :func:`bfc.random.integers` draws them."""
    name = emitter.new_name()
    with emitter.block("if rows is not None:"):
        emitter.line(f"{name} = tl.load(rows + step * {rows} + {b.values}{_masked(b.mask)})")
    with emitter.block("else:"):
        word = emitter.assign(f"{_word(emitter, _number(b, rows), 'key')} >> 32")
        emitter.line(f"{name} = (({word} * num_rows) >> 32).to(tl.int64) + first_row")
    return name


def emit_normal_rows(emitter: TritonEmitter, loop: Loop, core: NormalRows, key: int) -> None:
    """Rows as :func:`bfc.random.normal_rows` draws them, with the key at ``key`` of the stream.

    The logarithm, sine and cosine are Triton's, so numbers agree to rounding.
    """
    rows, width = core.shape
    pairs = (width + 1) // 2
    columns = tile_length(pairs, MAX_NUMBERS)
    count = tile_length(rows, max(1, MAX_NUMBERS // columns))
    place, number = AxisPosition.variable("b") * loop.strides[0], emitter.number_type
    name = emitter.assign(f"tl.load(stream + {key}).to(tl.uint64)")
    with emitter.tiles(rows, count) as b, emitter.tiles(pairs, columns) as j:
        emitter.variables = {"b": b.along(0), "j": j.along(1)}
        index = f"({_number(b.along(0), rows)}) * {pairs} + {j.along(1).values}"
        word = emitter.assign(_word(emitter, index, name))
        half, scale = emitter.constant(0.5), emitter.constant(2.0**-32)
        unit = emitter.assign(f"(({word} >> 32).to({number}) + {half}) * {scale}")
        square = emitter.assign(f"tl.log({unit}) * {emitter.constant(-2.0)}")
        radius = emitter.operate("sqrt", [square])
        turn = emitter.constant(2.0 * math.pi * 2.0**-32)
        angle = emitter.assign(f"({word} & 0xFFFFFFFF).to({number}) * {turn}")
        first = emitter.assign(f"{radius} * tl.cos({angle})")
        emitter.store(first, loop.place, place + AxisPosition.variable("j") * loop.strides[1])
        if width > 1:
            second = emitter.assign(f"{radius} * tl.sin({angle})")
            emitter.variables["j"] = emitter.within(j, width // 2, pairs).along(1)
            column = AxisPosition.variable("j") + pairs
            emitter.store(second, loop.place, place + column * loop.strides[1])


def _number(b: Variable, rows: int) -> str:
    """The number of row ``b`` of this step among all that the replica has read."""
    return f"(first_step + step) * {rows} + {b.values}"


def _word(emitter: TritonEmitter, index: str, key: str) -> str:
    """64 random bits of every index, as :func:`bfc.random.bits` draws them."""
    z = emitter.assign(f"({index}).to(tl.uint64) * {random.GOLDEN} + {key}")
    for shift, factor in ((30, random.MIX[0]), (27, random.MIX[1])):
        z = emitter.assign(f"({z} ^ ({z} >> {shift})) * {factor}")
    return f"({z} ^ ({z} >> 31))"
