"""The step of one replica as values that depend on each other, without an order of computation.

Every value has the shape that it has for one replica: the replica axis is gone, and with it any way
to mix replicas. A value says of each of its elements how it follows from elements of others; the
plan (:mod:`bfc.engine.compiled.plan`) decides which of them are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod

Shape = tuple[int, ...]


@dataclass(frozen=True)
class AxisPosition:
    """A position along an axis: a number plus multiples of loop variables."""

    const: int = 0
    terms: tuple[tuple[str, int], ...] = ()
    """(loop variable, factor), sorted."""

    @classmethod
    def variable(cls, name: str) -> AxisPosition:
        return cls(0, ((name, 1),))

    @property
    def is_static(self) -> bool:
        """Whether it is a number, the same in every iteration."""
        return not self.terms

    def __add__(self, other: AxisPosition | int) -> AxisPosition:
        if isinstance(other, int):
            return AxisPosition(self.const + other, self.terms)
        factors = dict(self.terms)
        for name, factor in other.terms:
            factors[name] = factors.get(name, 0) + factor
        terms = tuple(sorted((name, factor) for name, factor in factors.items() if factor))
        return AxisPosition(self.const + other.const, terms)

    def __mul__(self, factor: int) -> AxisPosition:
        if factor == 0:
            return AxisPosition()
        return AxisPosition(
            self.const * factor, tuple((name, f * factor) for name, f in self.terms)
        )


Indices = tuple[AxisPosition, ...]


def strides_of(shape: Shape) -> Shape:
    """Distance of neighbours along each axis where the last axis is contiguous."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def offset_of(indices: Indices, strides: Shape) -> AxisPosition:
    """The place of an element in memory."""
    total = AxisPosition()
    for index, stride in zip(indices, strides, strict=True):
        total = total + index * stride
    return total


def matching_axes(a: Shape, b: Shape) -> Iterator[tuple[range, range]]:
    """The smallest runs of axes of two shapes that hold equally many elements."""
    i = j = 0
    while i < len(a) or j < len(b):
        first_i, first_j = i, j
        size_a = size_b = 1
        while (i == first_i and j == first_j) or size_a != size_b:
            if size_a <= size_b and i < len(a):
                size_a, i = size_a * a[i], i + 1
            else:
                size_b, j = size_b * b[j], j + 1
        while i < len(a) and a[i] == 1:
            i += 1
        while j < len(b) and b[j] == 1:
            j += 1
        yield range(first_i, i), range(first_j, j)


def takes_apart(shape: Shape, source: Shape) -> bool:
    """Whether an index in ``shape`` stands for several indices in ``source``."""
    for _, theirs in matching_axes(shape, source):
        if sum(source[axis] > 1 for axis in theirs) > 1:
            return True
    return False


@dataclass(eq=False)
class Value:
    """One tensor of a replica's step."""

    shape: Shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def sources(self) -> tuple[Value, ...]:
        """The values that it follows from."""
        return ()


@dataclass(eq=False)
class Input(Value):
    """Something that is in memory before the step."""

    name: str


@dataclass(eq=False)
class Constant(Value):
    """One number in every element."""

    number: float


@dataclass(eq=False)
class Map(Value):
    """An operation element by element; all ``args`` have the value's own shape."""

    op: str
    args: tuple[Value, ...]
    is_bool: bool = False

    @property
    def sources(self) -> tuple[Value, ...]:
        return self.args


@dataclass(eq=False)
class View(Value):
    """Elements of ``source`` at other places; ``to_source`` maps the indices of one."""

    source: Value
    to_source: Callable[[Indices], Indices] = field(repr=False)

    @property
    def sources(self) -> tuple[Value, ...]:
        return (self.source,)


@dataclass(eq=False)
class Reshape(Value):
    """The elements of ``source`` in the same order in another shape."""

    source: Value

    @property
    def sources(self) -> tuple[Value, ...]:
        return (self.source,)


@dataclass(eq=False)
class Reduce(Value):
    """The sum of ``source`` over ``axes``, which are gone from the shape."""

    source: Value
    axes: tuple[int, ...]

    @property
    def sources(self) -> tuple[Value, ...]:
        return (self.source,)


@dataclass(eq=False)
class Product(Value):
    """The matrix product of ``left`` (M, K) and ``right`` (K, N)."""

    left: Value
    right: Value

    @property
    def sources(self) -> tuple[Value, ...]:
        return (self.left, self.right)


@dataclass(eq=False)
class NormalRows(Value):
    """Standard normal rows (B, width) of a stream, those of the batch that a step reads."""

    key: str
    """Name of the input that holds the key of the stream."""


@dataclass(eq=False)
class Patch(Value):
    """``base`` with ``part`` in place of its elements from ``start`` on along ``axis``."""

    base: Value
    part: Value
    axis: int
    start: int

    @property
    def sources(self) -> tuple[Value, ...]:
        return (self.base, self.part)


@dataclass(eq=False)
class Join(Value):
    """``parts`` one after the other along ``axis``."""

    parts: tuple[Value, ...]
    axis: int

    @property
    def sources(self) -> tuple[Value, ...]:
        return self.parts


@dataclass(frozen=True)
class Program:
    """What is computed in every step.

    Of a step these are what trains and the buffers of the optimizer after it, and the training
    loss; of the rows of a batch, inputs and labels.
    """

    results: dict[str, Value]
    """Name of a place in memory → what goes there; it may be the place of an input."""
    scalars: tuple[str, ...] = ()
    """Names of the inputs that hold one number per step and replica (:mod:`scalars`)."""
    rows: Program | None = None
    """What draws the batch of a step; None: it is read from a pool."""


def broadcast(value: Value, shape: Shape) -> Value:
    """The value repeated to ``shape`` by the rules of torch."""
    if value.shape == shape:
        return value
    if isinstance(value, Constant):
        return Constant(shape, value.number)
    source_shape, missing = value.shape, len(shape) - len(value.shape)

    def to_source(indices: Indices) -> Indices:
        paired = zip(indices[missing:], source_shape, strict=True)
        return tuple(AxisPosition() if size == 1 else index for index, size in paired)

    return View(shape, value, to_source)
