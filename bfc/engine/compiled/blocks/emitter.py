"""Lines of Triton for elements of values: every number is a tile of elements of one replica."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from bfc.engine.compiled.program import AxisPosition, Shape, Value, strides_of
from bfc.engine.compiled.storage import Place


@dataclass(frozen=True)
class Variable:
    """A loop variable: names of its values along a tile, and of which are within the loop."""

    values: str
    mask: str | None
    """None: all."""

    def along(self, axis: int) -> Variable:
        """The variable of a tile of two axes that runs along one of them."""
        if self.values == "0":
            return self
        form = "[:, None]" if axis == 0 else "[None, :]"
        return Variable(self.values + form, None if self.mask is None else self.mask + form)


def tile_length(size: int, limit: int, at_least: int = 1) -> int:
    """A power of two from ``at_least`` to ``limit`` that holds ``size`` numbers, if one does."""
    padded = 1 << (size - 1).bit_length()
    return max(at_least, min(padded, 1 << (limit.bit_length() - 1)))


class TritonEmitter:
    """A machine (:mod:`bfc.engine.compiled.evaluate`) that writes lines of a program."""

    def __init__(
        self, dtype: torch.dtype, pointers: Mapping[str, str], places: Mapping[Value, Place]
    ) -> None:
        is_single = dtype == torch.float32
        self.number_type = "tl.float32" if is_single else "tl.float64"
        self.operations = OPERATIONS | (SINGLE if is_single else {})
        self.pointers, self.places = dict(pointers), places
        """Region → name of the pointer to its first element."""
        self.variables: dict[str, Variable] = {}
        """Loop variables that are defined at this point."""
        self.lines: list[str] = []
        self.constants = {"0.0": "zero", "1.0": "one"}
        """Number → its name, defined ahead of all lines."""
        self._depth, self._names = 0, 0

    # lines

    def line(self, text: str) -> None:
        self.lines.append("    " * self._depth + text)

    def indent(self, levels: int) -> None:
        """Begin the following lines further to the right."""
        self._depth += levels

    def new_name(self) -> str:
        self._names += 1
        return f"v{self._names}"

    def assign(self, expression: str) -> str:
        """The name of a new variable with this value."""
        name = self.new_name()
        self.line(f"{name} = {expression}")
        return name

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Lines within a loop or a condition."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    @contextmanager
    def tiles(self, size: int, length: int) -> Iterator[Variable]:
        """A loop over ``size`` numbers from 0 on, ``length`` at a time.

        ``length`` is a power of two. Where one tile holds all there is no loop.
        """
        if size == length == 1:
            yield Variable("0", None)
            return
        within = f"tl.arange(0, {length})"
        if length >= size:
            yield self._tile(within, size, length)
            return
        start = self.new_name()
        with self.block(f"for {start} in range(0, {size}, {length}):"):
            yield self._tile(f"{start} + {within}", size, length)

    def _tile(self, values: str, size: int, length: int) -> Variable:
        name = self.assign(values)
        return Variable(name, None if size % length == 0 else self.assign(f"{name} < {size}"))

    def within(self, variable: Variable, size: int, whole: int) -> Variable:
        """The variable of a loop over ``whole`` numbers for the first ``size`` of them."""
        if size == whole:
            return variable
        return Variable(variable.values, self.assign(f"{variable.values} < {size}"))

    def split(self, flat: Variable, names: Sequence[str], shape: Shape) -> dict[str, Variable]:
        """Loop variables along the axes of ``shape`` from one that runs through all elements."""
        variables = {}
        for axis, (name, stride) in enumerate(zip(names, strides_of(shape), strict=True)):
            values = flat.values
            if stride > 1:
                values = self.assign(f"{values} // {stride}")
            if axis > 0:
                values = self.assign(f"{values} % {shape[axis]}")
            variables[name] = Variable(values, flat.mask)
        return variables

    # memory

    def position(self, index: AxisPosition) -> str:
        """An index as an integer or a tile of integers."""
        parts = [self._term(name, factor) for name, factor in index.terms]
        if index.const or not parts:
            parts.append(str(index.const))
        return " + ".join(parts)

    def _term(self, name: str, factor: int) -> str:
        values = self.variables[name].values
        return values if factor == 1 else f"{values} * {factor}"

    def mask(self, index: AxisPosition) -> str | None:
        """Which elements of a tile are within all loops that ``index`` depends on."""
        masks = dict.fromkeys(self.variables[name].mask for name, _ in index.terms)
        return " & ".join(mask for mask in masks if mask is not None) or None

    def load(self, value: Value, offset: AxisPosition) -> str:
        return self.load_place(self.places[value], offset)

    def load_place(self, place: Place, offset: AxisPosition) -> str:
        """Elements ``offset`` elements from ``place``; zeros outside of the loops."""
        address = f"{self.pointers[place.region]} + {self.position(offset + place.offset)}"
        mask = self.mask(offset)
        masked = "" if mask is None else f", mask={mask}, other=0.0"
        return self.assign(f"tl.load({address}{masked})")

    def store(self, number: str, place: Place, offset: AxisPosition) -> None:
        address = f"{self.pointers[place.region]} + {self.position(offset + place.offset)}"
        mask = self.mask(offset)
        masked = "" if mask is None else f", mask={mask}"
        self.line(f"tl.store({address}, {number}{masked})")

    def barrier(self) -> None:
        """All threads of a replica see what any has stored."""
        self.line("tl.debug_barrier()")

    # arithmetic

    def constant(self, number: float) -> str:
        text = repr(number) if abs(number) < float("inf") else f'float("{number}")'
        return self.constants.setdefault(text, f"c{len(self.constants)}")

    def constant_lines(self) -> list[str]:
        """The definitions of all constants."""
        items = self.constants.items()
        return [f"    {name} = tl.full((), {text}, {self.number_type})" for text, name in items]

    def operate(self, op: str, args: list[str]) -> str:
        return self.assign(self.operations[op].format(*args))

    def masked(self, number: str, variable: Variable) -> str:
        """Zero outside of the loop that a variable belongs to."""
        return number if variable.mask is None else f"tl.where({variable.mask}, {number}, zero)"

    def zeros(self, *shape: int) -> str:
        return f"tl.zeros({shape}, {self.number_type})"


OPERATIONS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "copy": "{0}",
    "neg": "-{0}",
    "sqrt": "tl.sqrt({0})",
    "abs": "tl.abs({0})",
    "exp": "tl.exp({0})",
    "log1p": "tl.where({0} + one == one, {0}, tl.log({0} + one) * ({0} / ({0} + one - one)))",
    "relu": "tl.where({0} <= zero, zero, {0})",
    "sign": "tl.where({0} > zero, one, tl.where({0} < zero, -one, zero))",
    "at_least": "tl.where({0} < {1}, {1}, {0})",
    "at_most": "tl.where({0} > {1}, {1}, {0})",
    "where": "tl.where({0}, {1}, {2})",
    "and": "{0} & {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
}
"""Operation → an expression of its arguments. The logarithm is corrected by the rounding error of
its argument (Goldberg, ACM Computing Surveys 1991, theorem 4)."""
SINGLE = {"div": "tl.div_rn({0}, {1})", "sqrt": "tl.sqrt_rn({0})"}
"""Operations that Triton approximates in single precision unless correct rounding is asked for."""
