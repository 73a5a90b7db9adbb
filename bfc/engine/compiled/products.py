"""Matrix products in registers: a tile of results is kept while the inner axis is gone through."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from llvmlite import ir

from bfc.engine.compiled.emitter import Emitter
from bfc.engine.compiled.evaluate import Evaluation
from bfc.engine.compiled.loops import IN_FLIGHT, nest, store_core, unroll
from bfc.engine.compiled.plan import Loop, Place, loads_of_element
from bfc.engine.compiled.program import Index, Product, Value

FAR_APART = 16
"""Elements between neighbours along the inner axis from which a panel is packed: lines at such
distances fall into few sets of a cache."""
MIN_PANEL_USES = 4
"""Tiles that read a panel, from which it is packed."""
MAX_PANEL = 512
"""Elements of a panel that stay in the nearest cache (32 KB with registers of 64 bytes)."""
LOAD_CYCLES, FAR_LOAD_CYCLES = 0.15, 0.5
"""Cycles that a load adds beside multiplications, and one from the second cache in addition
(fitted to products of 64 x 64 x 64 on a Zen 5)."""


@dataclass(frozen=True)
class Tile:
    """Results that are kept in registers together."""

    rows: int
    columns: int


def choose_tile(rows: int, inner: int, columns: int, registers: int) -> Tile:
    """The tile with the least estimated cycles for a product of these sizes."""
    candidates = []
    for m in range(1, min(rows, 8) + 1):
        for n in range(1, min(columns, 24) + 1):
            if m * n + min(m, n) + 1 <= registers:
                candidates.append(Tile(m, n))
    return min(candidates, key=lambda tile: _cycles(rows, inner, columns, tile))


def _cycles(rows: int, inner: int, columns: int, tile: Tile) -> float:
    """Cycles per place of the inner axis.

    Two multiplications or two loads each; loads are not free beside multiplications, those of a
    panel that does not stay in the nearest cache least of all.
    """
    total = 0.0
    for m, row_tiles in _runs(rows, tile.rows):
        for n, column_tiles in _runs(columns, tile.columns):
            cycles = max(m * n / 2, (m + n) / 2 + 0.5) + LOAD_CYCLES * (m + n)
            if n * inner > MAX_PANEL:
                cycles += FAR_LOAD_CYCLES * n
            total += row_tiles * column_tiles * cycles
    return total


def _runs(size: int, tile: int) -> Iterable[tuple[int, int]]:
    """(size of a tile, number of such tiles): whole ones, and the rest."""
    if size // tile:
        yield tile, size // tile
    if size % tile:
        yield size % tile, 1


def emit_product(
    emitter: Emitter, loop: Loop, core: Product, stored: set[Value], registers: int, panel: Place
) -> None:
    """All tiles, panel by panel; ``panel`` is where a packed panel of the right factor goes."""
    (rows, inner), columns = core.left.shape, core.right.shape[1]
    tile = choose_tile(rows, inner, columns, registers)
    column_start = 0
    for width, column_tiles in _runs(columns, tile.columns):
        start, count = column_start, column_tiles
        is_packed = _is_packed(core, stored, -(-rows // tile.rows))

        def panel_body(_: list[ir.Value], width: int = width, start: int = start) -> list[ir.Value]:
            if is_packed:
                _pack(emitter, core, stored, panel, start, width, inner)
            row_start = 0
            for height, row_tiles in _runs(rows, tile.rows):
                at = (row_start, start)
                shape = Tile(height, width)

                def tile_body(
                    _: list[ir.Value], at: tuple[int, int] = at, shape: Tile = shape
                ) -> list[ir.Value]:
                    source = panel if is_packed else None
                    _emit_tile(emitter, loop, core, stored, at, shape, source)
                    return []

                nest(emitter, [("m", height * row_tiles, height)], tile_body)
                row_start += height * row_tiles
            return []

        nest(emitter, [("n", width * count, width)], panel_body)
        column_start += width * count


def _is_packed(core: Product, stored: set[Value], row_tiles: int) -> bool:
    """Whether a panel of the right factor is copied together before it is read."""
    if row_tiles < MIN_PANEL_USES:
        return False
    _, offset = loads_of_element(core.right, (Index.variable("k"), Index()), stored)
    return dict(offset.terms).get("k", 0) >= FAR_APART


def panel_size(loop: Loop, registers: int) -> int:
    """Elements of the largest panel that a loop may pack."""
    if not isinstance(loop.core, Product):
        return 0
    (rows, inner), columns = loop.core.left.shape, loop.core.shape[1]
    return choose_tile(rows, inner, columns, registers).columns * inner


def _pack(
    emitter: Emitter,
    core: Product,
    stored: set[Value],
    panel: Place,
    start: int,
    width: int,
    inner: int,
) -> None:
    def body(_: list[ir.Value]) -> list[ir.Value]:
        evaluation, k = Evaluation(emitter, stored), Index.variable("k")
        for j in range(width):
            column = Index.variable("n") + (start + j)
            element = evaluation.element(core.right, (k, column))
            emitter.store(element, panel, k * width + j)
        return []

    nest(emitter, [("k", inner, 1)], body)


def _emit_tile(
    emitter: Emitter,
    loop: Loop,
    core: Product,
    stored: set[Value],
    at: tuple[int, int],
    tile: Tile,
    panel: Place | None,
) -> None:
    """One tile of results, whose first is ``at`` beyond the loop variables m and n."""
    inner = core.left.shape[1]
    count = tile.rows * tile.columns
    step = unroll(inner, 4 if count >= IN_FLIGHT else IN_FLIGHT)
    chains = step if count < IN_FLIGHT else 1
    rows = [Index.variable("m") + (at[0] + i) for i in range(tile.rows)]
    columns = [Index.variable("n") + (at[1] + j) for j in range(tile.columns)]
    right = _right_reader(emitter, core, panel, tile.columns, columns)

    def body(totals: list[ir.Value]) -> list[ir.Value]:
        evaluation = Evaluation(emitter, stored)
        totals = list(totals)
        for distance in range(step):
            k = Index.variable("k") + distance
            lefts = [evaluation.element(core.left, (row, k)) for row in rows]
            rights = [right(evaluation, k, j) for j in range(tile.columns)]
            first = distance % chains * count
            for i, a in enumerate(lefts):
                for j, b in enumerate(rights):
                    place = first + i * tile.columns + j
                    totals[place] = emitter.fma(a, b, totals[place])
        return totals

    totals = nest(emitter, [("k", inner, step)], body, [emitter.constant(0.0)] * (count * chains))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            place = i * tile.columns + j
            total = totals[place]
            for chain in range(1, chains):
                total = emitter.operate("add", [total, totals[chain * count + place]])
            store_core(emitter, loop, total, (row, column), stored)


def _right_reader(
    emitter: Emitter, core: Product, panel: Place | None, width: int, columns: list[Index]
) -> Callable[[Evaluation[ir.Value], Index, int], ir.Value]:
    """(evaluation, place along the inner axis, column of the tile) → element of the right."""
    if panel is None:
        return lambda evaluation, k, j: evaluation.element(core.right, (k, columns[j]))
    return lambda _, k, j: emitter.load_place(panel, k * width + j)
