"""Which elements a loop reads, found by going through one pass of it without computing anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from bfc.engine.compiled.elements import loop_indices
from bfc.engine.compiled.evaluate import Evaluation, NotStatic
from bfc.engine.compiled.program import (
    AxisPosition,
    Indices,
    Input,
    NormalRows,
    Product,
    Value,
    offset_of,
    strides_of,
)
from bfc.engine.compiled.storage import Loop
from bfc.engine.compiled.stored import base_of

Loads = list[tuple[Value, AxisPosition]]
"""Stored values, and the places of the elements in them by the loop's variables."""


@dataclass
class LoadRecorder:
    """A machine that notes what is loaded."""

    loads: list[tuple[Value, AxisPosition]] = field(default_factory=list)

    def load(self, value: Value, offset: AxisPosition) -> None:
        self.loads.append((value, offset))

    def constant(self, number: float) -> None: ...

    def operate(self, op: str, args: list[None]) -> None: ...


def loads_of(loop: Loop, stored: set[Value]) -> list[tuple[Value, AxisPosition]]:
    """What a loop reads, by its loop variables.

    Raises :class:`NotStatic` where it reads a short axis at a place that varies.
    """
    recorder = LoadRecorder()
    core = loop.core
    if core is None:
        evaluation = Evaluation(recorder, stored)
        for indices in loop_indices(loop.target.shape):
            evaluation.element(loop.target, indices, is_target=loop.computes_target)
        return recorder.loads
    if isinstance(core, NormalRows):
        return recorder.loads
    if isinstance(core, Product):
        m, n, k = (AxisPosition.variable(name) for name in "mnk")
        evaluation = Evaluation(recorder, stored)
        evaluation.element(core.left, (m, k))
        evaluation.element(core.right, (k, n))
        core_elements: list[Indices] = [(m, n)]
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


def loads_of_element(
    value: Value, indices: Indices, stored: set[Value]
) -> tuple[Value, AxisPosition]:
    """The one element that an element of a view of a stored value is."""
    recorder = LoadRecorder()
    Evaluation(recorder, stored).element(value, indices)
    (load,) = recorder.loads
    return load


def reads_only_own_element(loop: Loop, name: str, stored: set[Value]) -> bool:
    """Whether every element is computed from no other element of the input ``name``."""
    strides = strides_of(loop.target.shape)
    for indices in loop_indices(loop.target.shape):
        recorder = LoadRecorder()
        Evaluation(recorder, stored).element(loop.target, indices, is_target=True)
        for value, offset in recorder.loads:
            if isinstance(value, Input) and value.name == name:
                if offset != offset_of(indices, strides):
                    return False
    return True


def is_in_order(part: Value, stored: set[Value]) -> bool:
    """Whether the elements of a view are those of what it is of, in the same order."""
    base, _, _ = base_of(part)
    if base.size != part.size:
        return False
    indices = tuple(
        AxisPosition() if size == 1 else AxisPosition.variable(f"i{axis}")
        for axis, size in enumerate(part.shape)
    )
    recorder = LoadRecorder()
    try:
        Evaluation(recorder, stored).element(part, indices)
    except NotStatic:
        return False
    return recorder.loads == [(base, offset_of(indices, strides_of(part.shape)))]
