"""Reads the rows of a batch from a pool, as many at a time as fit a tile."""

from __future__ import annotations

from bfc import random
from bfc.engine.compiled.blocks.emitter import Emitter, Variable, tile_length
from bfc.engine.compiled.program import Index
from bfc.engine.compiled.storage import Place

MAX_NUMBERS = 4096
"""Numbers of a tile of rows."""


def emit_rows(emitter: Emitter, rows: int, width: int) -> None:
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
        emitter.store(labels, Place("batch", rows * width), Index.variable("b"))
        with emitter.tiles(width, columns) as j:
            emitter.variables = {"b": b.along(0), "j": j.along(1)}
            address = f"pool_x + {numbers}[:, None] * {width} + {j.along(1).values}"
            mask = emitter.mask(Index.variable("b") + Index.variable("j"))
            inputs = emitter.assign(f"tl.load({address}{_masked(mask)})")
            place = Index.variable("b") * width + Index.variable("j")
            emitter.store(inputs, Place("batch", 0), place)


def _masked(mask: str | None) -> str:
    return "" if mask is None else f", mask={mask}, other=0"


def _row_numbers(emitter: Emitter, b: Variable, rows: int) -> str:
    """Row numbers in the pool: those given, or as :func:`bfc.random.integers` draws them."""
    name = emitter.new_name()
    with emitter.block("if rows is not None:"):
        emitter.line(f"{name} = tl.load(rows + step * {rows} + {b.values}{_masked(b.mask)})")
    with emitter.block("else:"):
        index = f"(first_step + step) * {rows} + {b.values}"
        z = emitter.assign(f"({index}).to(tl.uint64) * {random.GOLDEN} + key")
        for shift, factor in ((30, random.MIX[0]), (27, random.MIX[1])):
            z = emitter.assign(f"({z} ^ ({z} >> {shift})) * {factor}")
        word = emitter.assign(f"({z} ^ ({z} >> 31)) >> 32")
        emitter.line(f"{name} = (({word} * num_rows) >> 32).to(tl.int64) + first_row")
    return name
