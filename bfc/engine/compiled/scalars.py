"""The part of a step that reads only the learning rate and the clock.

It is a handful of operations on one number per replica, some of them in double precision or on
integers. Torch computes it for all steps of a chunk at once, before the compiled code runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

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


def compute_scalars(graph: Graph, rate: Tensor, clock: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """What the rest of the step reads, each of the shape of ``rate`` and ``clock`` (N, 1)."""
    scalars = scalar_nodes(graph)
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    values: dict[Node, Tensor] = {placeholders[2]: rate, placeholders[3]: clock}
    for node in graph.nodes:
        if node in scalars.inner and node.op == "call_function":
            args = [values[a] if isinstance(a, Node) else a for a in node.args]
            values[node] = node.target(*args, **node.kwargs)  # type: ignore[operator]
    return [values[node].to(dtype) for node in scalars.outputs]
