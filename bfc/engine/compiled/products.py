"""Matrix products in registers: a tile of results is kept while the inner axis is gone through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llvmlite import ir

from bfc.engine.compiled.emitter import LlvmEmitter
from bfc.engine.compiled.evaluate import Evaluation
from bfc.engine.compiled.loads import loads_of_element
from bfc.engine.compiled.loops import IN_FLIGHT, nest, store_core, unroll
from bfc.engine.compiled.program import AxisPosition, Product, Value
from bfc.engine.compiled.storage import Loop, Place

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
    emitter: LlvmEmitter,
    loop: Loop,
    core: Product,
    stored: set[Value],
    registers: int,
    panel: Place,
) -> None:
    """All tiles, panel by panel; ``panel`` is where a packed panel of the right factor goes."""
    (rows, inner), columns = core.left.shape, core.right.shape[1]
    tile = choose_tile(rows, inner, columns, registers)
    is_packed = _is_packed(core, stored, -(-rows // tile.rows))
    tiles = _Tiles(emitter, loop, core, stored, tile.rows, panel if is_packed else None)
    start = 0
    for width, count in _runs(columns, tile.columns):
        tiles.emit_panels(start, width, count)
        start += width * count


def _is_packed(core: Product, stored: set[Value], row_tiles: int) -> bool:
    """Whether a panel of the right factor is copied together before it is read."""
    if row_tiles < MIN_PANEL_USES:
        return False
    _, offset = loads_of_element(core.right, (AxisPosition.variable("k"), AxisPosition()), stored)
    return dict(offset.terms).get("k", 0) >= FAR_APART


def panel_size(loop: Loop, registers: int) -> int:
    """Elements of the largest panel that a loop may pack."""
    if not isinstance(loop.core, Product):
        return 0
    (rows, inner), columns = loop.core.left.shape, loop.core.shape[1]
    return choose_tile(rows, inner, columns, registers).columns * inner


@dataclass(frozen=True)
class _Tiles:
    """The tiles of one product."""

    emitter: LlvmEmitter
    loop: Loop
    core: Product
    stored: set[Value]
    height: int
    """Rows of a whole tile."""
    panel: Place | None
    """Where panels are packed; None: they are read where they are."""

    def emit_panels(self, start: int, width: int, count: int) -> None:
        """``count`` panels of ``width`` columns from column ``start`` on."""

        def body(_: list[ir.Value]) -> list[ir.Value]:
            columns = [AxisPosition.variable("n") + (start + j) for j in range(width)]
            if self.panel is not None:
                self._pack(columns, self.panel)
            first = 0
            for height, tiles in _runs(self.core.shape[0], self.height):
                self._emit_column_of_tiles(first, height, tiles, columns)
                first += height * tiles
            return []

        nest(self.emitter, [("n", width * count, width)], body)

    def _pack(self, columns: list[AxisPosition], panel: Place) -> None:
        """Copy the columns of the right factor together, row by row."""

        def body(_: list[ir.Value]) -> list[ir.Value]:
            evaluation, k = Evaluation(self.emitter, self.stored), AxisPosition.variable("k")
            for j, column in enumerate(columns):
                element = evaluation.element(self.core.right, (k, column))
                self.emitter.store(element, panel, k * len(columns) + j)
            return []

        nest(self.emitter, [("k", self.core.left.shape[1], 1)], body)

    def _emit_column_of_tiles(
        self, first: int, height: int, count: int, columns: list[AxisPosition]
    ) -> None:
        def body(_: list[ir.Value]) -> list[ir.Value]:
            rows = [AxisPosition.variable("m") + (first + i) for i in range(height)]
            self._emit_tile(rows, columns)
            return []

        nest(self.emitter, [("m", height * count, height)], body)

    def _emit_tile(self, rows: list[AxisPosition], columns: list[AxisPosition]) -> None:
        """Go through the inner axis, then store what follows from the results."""
        inner, count = self.core.left.shape[1], len(rows) * len(columns)
        step = unroll(inner, 4 if count >= IN_FLIGHT else IN_FLIGHT)
        chains = step if count < IN_FLIGHT else 1

        def body(totals: list[ir.Value]) -> list[ir.Value]:
            evaluation = Evaluation(self.emitter, self.stored)
            for distance in range(step):
                k, chain = AxisPosition.variable("k") + distance, distance % chains
                first = chain * count
                added = self._outer_product(evaluation, rows, columns, k, totals[first:][:count])
                totals[first : first + count] = added
            return totals

        zeros = [self.emitter.constant(0.0)] * (count * chains)
        totals = nest(self.emitter, [("k", inner, step)], body, zeros)
        for place in range(count):
            total = totals[place]
            for chain in range(1, chains):
                total = self.emitter.operate("add", [total, totals[chain * count + place]])
            indices = (rows[place // len(columns)], columns[place % len(columns)])
            store_core(self.emitter, self.loop, total, indices, self.stored)

    def _outer_product(
        self,
        evaluation: Evaluation[ir.Value],
        rows: list[AxisPosition],
        columns: list[AxisPosition],
        k: AxisPosition,
        totals: list[ir.Value],
    ) -> list[ir.Value]:
        """The totals of a tile with place ``k`` of the inner axis added."""
        lefts = [evaluation.element(self.core.left, (row, k)) for row in rows]
        rights = []
        for j, column in enumerate(columns):
            if self.panel is None:
                rights.append(evaluation.element(self.core.right, (k, column)))
            else:
                rights.append(self.emitter.load_place(self.panel, k * len(columns) + j))
        added = []
        for i, left in enumerate(lefts):
            for j, right in enumerate(rights):
                added.append(self.emitter.fma(left, right, totals[i * len(columns) + j]))
        return added
