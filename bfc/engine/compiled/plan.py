"""The loops of a step in the order in which they run, and where each stores its result."""

from __future__ import annotations

from dataclasses import dataclass

from bfc.engine.compiled.evaluate import NotStatic
from bfc.engine.compiled.loads import Loads, is_in_order, loads_of, reads_only_own_element
from bfc.engine.compiled.program import (
    Constant,
    Input,
    Join,
    Map,
    NormalRows,
    Patch,
    Product,
    Program,
    Reduce,
    Value,
    View,
    strides_of,
)
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.storage import Core, Loop, Place, axes_read, first_fit, path_between
from bfc.engine.compiled.stored import (
    base_of,
    choose_stored,
    inlined,
    reads_of,
    topological,
)


@dataclass(frozen=True)
class CodePlan:
    """Everything that the code generator needs."""

    loops: list[Loop]
    stored: set[Value]
    places: dict[Value, Place]
    scratch: int
    """Elements of the scratch memory."""


def make_plan(program: Program, places: dict[str, Place], needs_loss: bool = True) -> CodePlan:
    """The plan of a program; ``places`` are those of its inputs and results."""
    results = {name: _computed(name, value) for name, value in program.results.items()}
    if not needs_loss:
        del results["loss"]
    forced: frozenset[Value] = frozenset()
    while True:
        try:
            return _Planner(results, places, forced).plan()
        except NotStatic as error:
            base, _, _ = base_of(error.value)
            if base in forced or isinstance(base, Input):
                raise CannotCompile("its step takes apart an axis of what it reads") from error
            forced |= {base}


def _computed(name: str, result: Value) -> Value:
    """A result that is a view of an input as a value of its own, which is computed in its turn.

    A step may write over that input before the results that are stored elsewhere are copied.
    """
    base, _, _ = base_of(result)
    is_unchanged = result is base and isinstance(base, Input) and base.name == name
    if is_unchanged or not isinstance(base, Input):
        return result
    return Map(result.shape, "copy", (result,))


class _Planner:
    def __init__(
        self, results: dict[str, Value], named_places: dict[str, Place], forced: frozenset[Value]
    ) -> None:
        self.results, self.named_places = results, named_places
        self.values = topological(results.values())
        self.reads = reads_of(results.values(), self.values)
        self.stored = choose_stored(self.values, self.reads, forced)
        self.places: dict[Value, Place] = {}
        for value in self.values:
            if isinstance(value, Input):
                self.places[value] = named_places[value.name]
        self.cores = self._choose_cores()

    def _choose_cores(self) -> dict[Value, Product | Reduce]:
        """Stored value → the product or sum that its loop computes with it.

        That one is then not stored itself.
        """
        cores: dict[Value, Product | Reduce] = {}
        for value in self.values:
            if value not in self.stored or not isinstance(value, Map):
                continue
            for leaf in self._leaves(value):
                if isinstance(leaf, Product | Reduce) and self._fits_core(value, leaf):
                    cores[value] = leaf
                    self.stored.discard(leaf)
                    break
        return cores

    def _leaves(self, value: Value) -> list[Value]:
        """The stored values that are read where ``value`` is computed; products first."""
        leaves: list[Value] = []
        for part in inlined(value, self.stored):
            leaves += [s for s in part.sources if s in self.stored and s is not value]
        return sorted(leaves, key=lambda leaf: not isinstance(leaf, Product))

    def _fits_core(self, value: Value, core: Value) -> bool:
        """Whether the loop over ``core`` can compute ``value``, which alone reads it."""
        path = path_between(value, core)
        if path is None or axes_read(value, core) is None:
            return False
        between = [part for part in (*path[1:], core) if not isinstance(part, View)]
        if any(len(self.reads[part]) != 1 for part in between):
            return False
        has_short_axis = any(isinstance(v, Patch | Join) for v in inlined(value, self.stored))
        return not (isinstance(core, Product) and has_short_axis)

    def plan(self) -> CodePlan:
        self.homes = self._choose_homes()
        loops = self._make_loops()
        reads = [loads_of(loop, self.stored) for loop in loops]
        results = self._place_results(loops, reads)
        size = self._allocate(loops, reads)
        for loop in loops:
            loop.place = self._place_of(loop.owner).shifted(loop.place.offset)
        return CodePlan([*loops, *results], self.stored, self._all_places(), size)

    def _choose_homes(self) -> dict[Value, tuple[Value, int]]:
        """Stored value → the stored value that it becomes a part of, and where in it.

        Such a value is computed in place.
        """
        homes: dict[Value, tuple[Value, int]] = {}
        for patch in self.values:
            if patch in self.stored and isinstance(patch, Patch):
                if patch.base in self.stored and len(self.reads[patch.base]) == 1:
                    homes[patch.base] = (patch, 0)
        for join in self.values:
            if join not in self.stored or not isinstance(join, Join):
                continue
            offset = 0
            for part in join.parts:
                base, _, _ = base_of(part)
                is_read_once = len(self.reads[base]) == 1
                if base in self.stored and is_read_once and is_in_order(part, self.stored):
                    if all(size == 1 for size in join.shape[: join.axis]):
                        homes[base] = (join, offset)
                offset += part.shape[join.axis] * strides_of(join.shape)[join.axis]
        return homes

    def _make_loops(self) -> list[Loop]:
        """A loop per stored value, sources first; those that assemble one come as several."""
        loops: list[Loop] = []
        for value in self.values:
            if value in self.stored:
                if isinstance(value, Join):
                    loops += self._join_loops(value)
                elif isinstance(value, Patch):
                    loops += self._patch_loops(value)
                else:
                    core: Core | None = self.cores.get(value)
                    if isinstance(value, Product | Reduce | NormalRows):
                        core = value
                    strides = strides_of(value.shape)
                    loops.append(Loop(value, value, Place("", 0), strides, core))
        return loops

    def _join_loops(self, join: Join) -> list[Loop]:
        """Loops over the parts that are not computed in place."""
        loops, strides, start = [], strides_of(join.shape), 0
        for part in join.parts:
            if base_of(part)[0] not in self.homes:
                place = Place("", start * strides[join.axis])
                loops.append(Loop(part, join, place, strides, None))
            start += part.shape[join.axis]
        return loops

    def _patch_loops(self, patch: Patch) -> list[Loop]:
        """Loops over the base, where that is somewhere else, and over the part."""
        strides, loops = strides_of(patch.shape), []
        if not isinstance(patch.base, Constant) and patch.base not in self.homes:
            loops.append(Loop(patch.base, patch, Place("", 0), strides, None))
        place = Place("", patch.start * strides[patch.axis])
        return [*loops, Loop(patch.part, patch, place, strides, None)]

    def _place_results(self, loops: list[Loop], reads: list[Loads]) -> list[Loop]:
        """Compute the results in their places where nothing needs what was there before.

        Returns loops that copy the others there in the end.
        """
        copies = []
        for name, value in self.results.items():
            if isinstance(value, Input) and value.name == name:
                continue
            place = self.named_places[name]
            if self._is_in_place(name, value, loops, reads):
                self.places[value] = place
            else:
                copies.append(Loop(value, value, place, strides_of(value.shape), None))
        for copy in copies:
            copy.is_copy = True
            reads.append(loads_of(copy, self.stored))
        return copies

    def _is_in_place(self, name: str, value: Value, loops: list[Loop], reads: list[Loads]) -> bool:
        if value not in self.stored or value in self.homes or value in self.places:
            return False
        owning = [i for i, loop in enumerate(loops) if loop.owner is value]
        if len(owning) != 1 or isinstance(loops[owning[0]].core, Product | Reduce):
            return False
        for later in reads[owning[0] + 1 :]:
            if any(isinstance(read, Input) and read.name == name for read, _ in later):
                return False
        loop = loops[owning[0]]
        return isinstance(loop.core, NormalRows) or reads_only_own_element(loop, name, self.stored)

    def _place_of(self, value: Value) -> Place:
        if value in self.homes:
            whole, offset = self.homes[value]
            return self._place_of(whole).shifted(offset)
        return self.places[value]

    def _all_places(self) -> dict[Value, Place]:
        inputs = {v: place for v, place in self.places.items() if isinstance(v, Input)}
        return inputs | {value: self._place_of(value) for value in self.stored}

    def _allocate(self, loops: list[Loop], reads: list[Loads]) -> int:
        """Give every stored value that has no place yet one in the scratch memory.

        Values that are not needed at the same time share memory. Returns its size.
        """
        last_read = {}
        for i, loads in enumerate(reads):
            for value, _ in loads:
                last_read[self._owner(value)] = i
        active: list[tuple[int, int, int]] = []
        size = 0
        for i, loop in enumerate(loops):
            owner = self._owner(loop.owner)
            if owner in self.places:
                continue
            active = [interval for interval in active if interval[2] >= i]
            start = first_fit(active, owner.size)
            self.places[owner] = Place("scratch", start)
            active.append((start, start + owner.size, last_read.get(owner, i)))
            size = max(size, start + owner.size)
        return size

    def _owner(self, value: Value) -> Value:
        """The value whose memory a stored value is in."""
        while value in self.homes:
            value = self.homes[value][0]
        return value
