"""The part of a step that reads only the learning rate and the clock.

It is a handful of operations on one number per replica, some of them in double precision or on
integers. Torch computes it for all steps of a chunk at once, before the compiled code runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, Node

PER_ELEMENT = frozenset(
    f"aten.{name}"
    for name in (
        *("add.Tensor", "sub.Tensor", "mul.Tensor", "div.Tensor", "rsub.Scalar", "neg.default"),
        *("pow.Scalar", "pow.Tensor_Scalar", "sqrt.default", "reciprocal.default", "cos.default"),
        *("_to_copy.default", "clamp.default", "exp.default", "detach.default", "alias.default"),
    )
)
"""Operations that act on every element by itself and take no shape, so that they may be run on any
number of steps."""


@dataclass(frozen=True)
class Operand:
    """A value among those of a :class:`ScalarProgram`."""

    number: int


Argument = Operand | float


@dataclass(frozen=True)
class ScalarNodes:
    """Nodes of a graph that depend on the rate and the clock alone."""

    inner: frozenset[Node]
    outputs: dict[Node, str]
    """Those that the rest of the step reads, with the names of the inputs that they become."""


def scalar_nodes(graph: Graph) -> ScalarNodes:
    """The nodes of one number per replica that read nothing but the rate and the clock."""
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    inner = {placeholders[2], placeholders[3]}
    for node in graph.nodes:
        if node.op == "call_function" and str(node.target) in PER_ELEMENT:
            reads = set(node.all_input_nodes)
            if reads and reads <= inner and prod(node.meta["val"].shape[1:]) == 1:
                inner.add(node)
    outputs = [node for node in graph.nodes if node in inner and not set(node.users) <= inner]
    return ScalarNodes(frozenset(inner), {node: f"scalar{i}" for i, node in enumerate(outputs)})


@dataclass(frozen=True)
class ScalarProgram:
    """The operations of :func:`scalar_nodes`, so that they can be stored and run again.

    Values are numbered: 0 is the rate, 1 the clock, then the result of every operation in turn.
    """

    operations: tuple[tuple[str, tuple[Argument, ...], tuple[tuple[str, Any], ...]], ...]
    """Name of torch's operation, its arguments and its options."""
    outputs: tuple[int, ...]

    @classmethod
    def of(cls, graph: Graph) -> ScalarProgram:
        scalars = scalar_nodes(graph)
        placeholders = [node for node in graph.nodes if node.op == "placeholder"]
        numbers = {placeholders[2]: 0, placeholders[3]: 1}
        operations = []
        for node in graph.nodes:
            if node in scalars.inner and node.op == "call_function":
                args = tuple(Operand(numbers[a]) if isinstance(a, Node) else a for a in node.args)
                operations.append((str(node.target), args, tuple(node.kwargs.items())))
                numbers[node] = len(numbers)
        return cls(tuple(operations), tuple(numbers[node] for node in scalars.outputs))

    def compute(self, rate: Tensor, clock: Tensor) -> list[Tensor]:
        """What the rest of the step reads, each of the shape of ``rate`` and ``clock`` (N, 1)."""
        values = [rate, clock]
        for name, args, options in self.operations:
            _, packet, overload = name.split(".")
            operation = getattr(getattr(torch.ops.aten, packet), overload)
            given = [values[a.number] if isinstance(a, Operand) else a for a in args]
            values.append(operation(*given, **dict(options)))
        return [values[number] for number in self.outputs]
