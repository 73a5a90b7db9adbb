"""Matrix products of tiles."""

from __future__ import annotations

from bfc.engine.compiled.blocks.emitter import TritonEmitter, tile_length
from bfc.engine.compiled.blocks.loops import Addends, Axes, emit_totals, store_core
from bfc.engine.compiled.evaluate import Evaluation
from bfc.engine.compiled.program import AxisPosition, Indices, Product, Value
from bfc.engine.compiled.storage import Loop

NARROW = 4
"""Rows or columns of a result up to which every one is a sum by itself: Triton's products would be
mostly padding."""
MIN_TILE = 16
"""Elements along an axis of a factor: the fewest that Triton multiplies."""
MAX_TILE, MAX_INNER = 64, 32
"""Elements along an axis of a tile of results, and along the inner axis at a time."""
M, N, K = (AxisPosition.variable(name) for name in "mnk")


def emit_product(emitter: TritonEmitter, loop: Loop, core: Product, stored: set[Value]) -> None:
    """All tiles of results; what follows from them is stored from where they are."""
    if min(core.shape) <= NARROW:
        _emit_narrow_product(emitter, loop, core, stored)
        return
    (rows, inner), columns = core.left.shape, core.right.shape[1]
    height, width = (tile_length(size, MAX_TILE, MIN_TILE) for size in (rows, columns))
    depth = tile_length(inner, MAX_INNER, MIN_TILE)
    with emitter.tiles(rows, height) as m, emitter.tiles(columns, width) as n:
        total = emitter.assign(emitter.zeros(height, width))
        with emitter.tiles(inner, depth) as k:
            emitter.variables = {"m": m.along(0), "k": k.along(1)}
            left = _factor(emitter, core.left, (M, K), (height, depth), stored)
            emitter.variables = {"k": k.along(0), "n": n.along(1)}
            right = _factor(emitter, core.right, (K, N), (depth, width), stored)
            options = f'input_precision="ieee", out_dtype={emitter.number_type}'
            emitter.line(f"{total} = tl.dot({left}, {right}, {total}, {options})")
        emitter.variables = {"m": m.along(0), "n": n.along(1)}
        store_core(emitter, loop, total, (M, N), stored)


def _factor(
    emitter: TritonEmitter,
    value: Value,
    indices: Indices,
    shape: tuple[int, int],
    stored: set[Value],
) -> str:
    """A tile of a factor, with zeros outside of the inner axis."""
    element = Evaluation(emitter, stored).element(value, indices)
    masked = emitter.masked(element, emitter.variables["k"])
    return emitter.assign(f"tl.broadcast_to({masked}, {shape})")


def _emit_narrow_product(
    emitter: TritonEmitter, loop: Loop, core: Product, stored: set[Value]
) -> None:
    rows, columns = core.shape
    if columns <= NARROW:
        free_axes, places = Axes(("m",), (rows,)), [(M, AxisPosition(n)) for n in range(columns)]
    else:
        free_axes, places = Axes(("n",), (columns,)), [(AxisPosition(m), N) for m in range(rows)]

    def addends_of(m: AxisPosition, n: AxisPosition) -> Addends:
        def compute(evaluation: Evaluation[str]) -> list[str]:
            left = evaluation.element(core.left, (m, K))
            right = evaluation.element(core.right, (K, n))
            return [emitter.operate("mul", [left, right])]

        return compute

    addends: dict[Indices, Addends] = {(m, n): addends_of(m, n) for m, n in places}
    emit_totals(emitter, loop, free_axes, Axes(("k",), (core.left.shape[1],)), addends, stored)
