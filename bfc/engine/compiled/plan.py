"""The loops of a step in the order in which they run, and where each stores its result."""

from __future__ import annotations

from dataclasses import dataclass, field

from bfc.engine.compiled.evaluate import Evaluation, NotStatic, positions
from bfc.engine.compiled.program import (
    Constant,
    Index,
    Indices,
    Input,
    Join,
    Map,
    Patch,
    Product,
    Program,
    Reduce,
    Reshape,
    Shape,
    Value,
    View,
    offset_of,
    strides_of,
)
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.stored import (
    base_of,
    choose_stored,
    inlined,
    reads_of,
    topological,
    written_out,
)

@dataclass(frozen=True)
class Place:
    """Where the elements of a value are."""

    region: str
    """``state``, ``fixed``, ``scalars``, ``shared``, ``scratch`` or ``loss``."""
    offset: int
    """Elements from the start of the region; an element is one number per lane."""

    def shifted(self, elements: int) -> Place:
        return Place(self.region, self.offset + elements)


@dataclass(eq=False)
class Loop:
    """Computes all elements of ``target`` and stores them."""

    target: Value
    owner: Value
    """The stored value whose memory the elements go to."""
    place: Place
    strides: Shape
    """Distance in memory of neighbours along each axis of ``target``."""
    core: Product | Reduce | None
    """The product or sum whose elements the loop computes, of which ``target`` is a function."""
    is_copy: bool = False
    """Whether it copies what is stored already to another place."""

    @property
    def computes_target(self) -> bool:
        """Whether the target is computed here, even if it is a value that is stored."""
        return self.target is self.owner and not self.is_copy

    def target_indices(self, core_indices: Indices) -> Indices:
        """The element of ``target`` that reads this element of ``core``."""
        assert self.core is not None
        path = _permutation(self.target, self.core)
        assert path is not None
        return tuple(core_indices[at] if at is not None else Index() for at in path)


@dataclass(frozen=True)
class Plan:
    """Everything that the code generator needs."""

    loops: list[Loop]
    stored: set[Value]
    places: dict[Value, Place]
    scratch: int
    """Elements of the scratch memory."""


@dataclass
class _Recorder:
    """A machine that notes what is loaded."""

    loads: list[tuple[Value, Index]] = field(default_factory=list)

    def load(self, value: Value, offset: Index) -> None:
        self.loads.append((value, offset))

    def constant(self, number: float) -> None: ...

    def operate(self, op: str, args: list[None]) -> None: ...


def make_plan(program: Program, inputs: dict[str, Place], needs_loss: bool) -> Plan:
    """The plan of a program whose inputs are at ``inputs``."""
    forced: frozenset[Value] = frozenset()
    while True:
        try:
            return _Planner(program, inputs, needs_loss, forced).plan()
        except NotStatic as error:
            base, _, _ = base_of(error.value)
            if base in forced or isinstance(base, Input):
                raise CannotCompile("its step takes apart an axis of what it reads") from error
            forced |= {base}


class _Planner:
    def __init__(
        self,
        program: Program,
        inputs: dict[str, Place],
        needs_loss: bool,
        forced: frozenset[Value],
    ) -> None:
        self.program, self.inputs, self.needs_loss = program, inputs, needs_loss
        self.values = topological(program, needs_loss)
        self.reads = reads_of(program, self.values, needs_loss)
        self.stored = choose_stored(self.values, self.reads, forced)
        self.places: dict[Value, Place] = {}
        for value in self.values:
            if isinstance(value, Input):
                self.places[value] = inputs[value.name]
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
        path = _path(value, core)
        if path is None or _permutation(value, core) is None:
            return False
        between = [part for part in (*path[1:], core) if not isinstance(part, View)]
        if any(len(self.reads[part]) != 1 for part in between):
            return False
        has_short_axis = any(isinstance(v, Patch | Join) for v in inlined(value, self.stored))
        return not (isinstance(core, Product) and has_short_axis)

    def plan(self) -> Plan:
        self.homes = self._choose_homes()
        loops = self._make_loops()
        reads = [loads_of(loop, self.stored) for loop in loops]
        results = self._place_results(loops, reads)
        size = self._allocate(loops, reads)
        for loop in loops:
            loop.place = self._place_of(loop.owner).shifted(loop.place.offset)
        return Plan([*loops, *results], self.stored, self._all_places(), size)

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
                if base in self.stored and is_read_once and _is_in_order(part, self.stored):
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
                    core = value if isinstance(value, Product | Reduce) else self.cores.get(value)
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

    def _place_results(
        self, loops: list[Loop], reads: list[list[tuple[Value, Index]]]
    ) -> list[Loop]:
        """Compute the results in their places where nothing needs what was there before.

        Returns loops that copy the others there in the end.
        """
        copies = []
        results = {name: self.inputs[name] for name in self.program.state}
        for name, value in self.program.state.items():
            if isinstance(value, Input) and value.name == name:
                continue
            if self._is_in_place(name, value, loops, reads):
                self.places[value] = results[name]
            else:
                copies.append(Loop(value, value, results[name], strides_of(value.shape), None))
        if self.needs_loss:
            loss = self.program.loss
            place = Place("loss", 0)
            copies.append(Loop(loss, loss, place, strides_of(loss.shape), None))
        for copy in copies:
            copy.is_copy = True
            reads.append(loads_of(copy, self.stored))
        return copies

    def _is_in_place(
        self, name: str, value: Value, loops: list[Loop], reads: list[list[tuple[Value, Index]]]
    ) -> bool:
        if value not in self.stored or value in self.homes or value in self.places:
            return False
        own = [i for i, loop in enumerate(loops) if loop.owner is value]
        if len(own) != 1 or loops[own[0]].core is not None:
            return False
        for later in reads[own[0] + 1 :]:
            if any(isinstance(read, Input) and read.name == name for read, _ in later):
                return False
        return reads_only_own_element(loops[own[0]], name, self.stored)

    def _place_of(self, value: Value) -> Place:
        if value in self.homes:
            whole, offset = self.homes[value]
            return self._place_of(whole).shifted(offset)
        return self.places[value]

    def _all_places(self) -> dict[Value, Place]:
        inputs = {v: place for v, place in self.places.items() if isinstance(v, Input)}
        return inputs | {value: self._place_of(value) for value in self.stored}

    def _allocate(self, loops: list[Loop], reads: list[list[tuple[Value, Index]]]) -> int:
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
            start = _first_fit(active, owner.size)
            self.places[owner] = Place("scratch", start)
            active.append((start, start + owner.size, last_read.get(owner, i)))
            size = max(size, start + owner.size)
        return size

    def _owner(self, value: Value) -> Value:
        """The value whose memory a stored value is in."""
        while value in self.homes:
            value = self.homes[value][0]
        return value


def _first_fit(active: list[tuple[int, int, int]], size: int) -> int:
    """The lowest start of ``size`` elements that are in no active interval."""
    start = 0
    for first, end, _ in sorted(active):
        if first - start >= size:
            return start
        start = max(start, end)
    return start


def loop_indices(shape: Shape, name: str = "i") -> list[Indices]:
    """The elements that one pass of a loop over ``shape`` computes.

    Axes that are not written out have a loop variable each, ``name`` and the number of the axis.
    """
    fixed = written_out(shape)
    indices = []
    for place in positions([shape[axis] for axis in fixed]):
        variables = [Index.variable(f"{name}{axis}") for axis in range(len(shape))]
        placed = dict(zip(fixed, place, strict=True))
        indices.append(
            tuple(
                Index() if size == 1 else placed.get(axis, variables[axis])
                for axis, size in enumerate(shape)
            )
        )
    return indices


def loads_of(loop: Loop, stored: set[Value]) -> list[tuple[Value, Index]]:
    """What a loop reads, by its loop variables.

    Raises :class:`NotStatic` where it reads a short axis at a place that varies.
    """
    recorder = _Recorder()
    core = loop.core
    if core is None:
        evaluation = Evaluation(recorder, stored)
        for indices in loop_indices(loop.target.shape):
            evaluation.element(loop.target, indices, is_target=loop.computes_target)
        return recorder.loads
    if isinstance(core, Product):
        m, n, k = (Index.variable(name) for name in "mnk")
        evaluation = Evaluation(recorder, stored)
        evaluation.element(core.left, (m, k))
        evaluation.element(core.right, (k, n))
        core_elements = [(m, n)]
    else:
        evaluation = Evaluation(recorder, stored)
        for indices in loop_indices(core.source.shape):
            evaluation.element(core.source, indices)
        core_elements = loop_indices(core.shape)
    if loop.target is not core:
        for indices in core_elements:
            evaluation = Evaluation(recorder, stored, {core: None})
            evaluation.element(loop.target, loop.target_indices(indices), is_target=True)
    return recorder.loads


def loads_of_element(value: Value, indices: Indices, stored: set[Value]) -> tuple[Value, Index]:
    """The one element that an element of a view of a stored value is."""
    recorder = _Recorder()
    Evaluation(recorder, stored).element(value, indices)
    (load,) = recorder.loads
    return load


def reads_only_own_element(loop: Loop, name: str, stored: set[Value]) -> bool:
    """Whether every element is computed from no other element of the input ``name``."""
    strides = strides_of(loop.target.shape)
    for indices in loop_indices(loop.target.shape):
        recorder = _Recorder()
        Evaluation(recorder, stored).element(loop.target, indices, is_target=True)
        for value, offset in recorder.loads:
            if isinstance(value, Input) and value.name == name:
                if offset != offset_of(indices, strides):
                    return False
    return True


def _is_in_order(part: Value, stored: set[Value]) -> bool:
    """Whether the elements of a view are those of what it is of, in the same order."""
    base, _, _ = base_of(part)
    if base.size != part.size:
        return False
    indices = tuple(
        Index() if size == 1 else Index.variable(f"i{axis}") for axis, size in enumerate(part.shape)
    )
    recorder = _Recorder()
    try:
        Evaluation(recorder, stored).element(part, indices)
    except NotStatic:
        return False
    return recorder.loads == [(base, offset_of(indices, strides_of(part.shape)))]


def _permutation(target: Value, core: Value) -> list[int | None] | None:
    """Per axis of ``target`` the axis of ``core`` along which it is read, or None (of size one).

    None where ``core`` is read in any other way.
    """
    path = _path(target, core)
    if path is None or target.size != core.size:
        return None
    variables = tuple(
        Index() if size == 1 else Index.variable(str(axis))
        for axis, size in enumerate(target.shape)
    )
    read = variables
    for view in path:
        if isinstance(view, Reshape):
            return None
        if isinstance(view, View):
            read = view.to_source(read)
    axes: list[int | None] = []
    for variable in variables:
        axes.append(read.index(variable) if variable.terms and variable in read else None)
    is_complete = all(a is not None or size == 1 for a, size in zip(axes, target.shape))
    return axes if is_complete else None


def _path(value: Value, core: Value) -> list[Value] | None:
    """The values from ``value`` down to ``core``, which is read once."""
    readers: dict[Value, Value] = {}
    for part in inlined(value, {core}):
        for source in part.sources:
            readers.setdefault(source, part)
    path, current = [], core
    while current is not value:
        if current not in readers:
            return None
        current = readers[current]
        path.append(current)
    return path[::-1]
