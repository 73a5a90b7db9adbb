"""Between which loops the threads of a replica have to wait for each other.

An element may be stored by one thread and read by another, so there is a barrier before a loop that
reads what was stored since the last one, or that stores where others still read or store. Loops
that have nothing to do with each other, such as the gradients of different parameters, run without
one in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from bfc.engine.compiled.loads import loads_of
from bfc.engine.compiled.plan import CodePlan
from bfc.engine.compiled.storage import Loop


@dataclass(frozen=True)
class Span:
    """Elements of a region from ``first`` up to ``end``."""

    region: str
    first: int
    end: int

    def overlaps(self, other: Span) -> bool:
        return self.region == other.region and self.first < other.end and other.first < self.end


def barriers(plan: CodePlan) -> list[bool]:
    """Per loop whether a barrier comes before it; there is one before the first in any case."""
    chosen = []
    stored, read = list[Span](), list[Span]()
    for loop in plan.loops:
        reads, stores = reads_of(loop, plan), stores_of(loop)
        is_needed = _overlap(reads, stored) or _overlap([stores], [*stored, *read])
        if is_needed:
            stored, read = [], []
        stored.append(stores)
        read += reads
        chosen.append(is_needed)
    return chosen


def reads_of(loop: Loop, plan: CodePlan) -> list[Span]:
    """The memory of all values that a loop reads."""
    spans = []
    for value in dict.fromkeys(value for value, _ in loads_of(loop, plan.stored)):
        place = plan.places[value]
        spans.append(Span(place.region, place.offset, place.offset + value.size))
    return spans


def stores_of(loop: Loop) -> Span:
    """The memory from the first element that a loop stores to the last."""
    last = loop.place.offset
    for size, stride in zip(loop.target.shape, loop.strides, strict=True):
        last += (size - 1) * stride
    return Span(loop.place.region, loop.place.offset, last + 1)


def _overlap(spans: Iterable[Span], others: Iterable[Span]) -> bool:
    return any(span.overlaps(other) for span, other in product(spans, others))
