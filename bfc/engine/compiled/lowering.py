"""From the graph of a stack's step to the program of one replica.

Every operation of the graph has a rule (:mod:`bfc.engine.compiled.rules`) that works on values
without the replica axis. A rule that would read across that axis does not exist, so a graph that
lowers is one whose replicas are independent; any other is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import Graph, Node
from torch.fx.node import map_arg

from bfc.engine.compiled.program import Constant, Input, Map, Program, Value
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.rules import RULES, TAKING_TABLES, Across
from bfc.engine.compiled.scalars import scalar_nodes
from bfc.engine.compiled.shapes import StepShapes
from bfc.engine.compiled.tables import Table

Lowered = Value | Across | Table | list[Value]


def lower(graph: Graph, shapes: StepShapes, dtype: torch.dtype) -> Program:
    """The program of a traced step; raises :class:`CannotCompile` where a rule is missing."""
    scalars = scalar_nodes(graph)
    given = {node: Input(_shape(node), name) for node, name in scalars.outputs.items()}
    results = lower_outputs(graph, given, scalars.inner, dtype)
    names = ["loss", "flat", *(f"buffer_{name}" for name in shapes.buffers)]
    return Program(dict(zip(names, results, strict=True)), tuple(scalars.outputs.values()))


def lower_outputs(
    graph: Graph, given: Mapping[Node, Input], skipped: frozenset[Node], dtype: torch.dtype
) -> list[Value]:
    """The outputs of a graph as values of one replica.

    Nodes that are ``given`` become these inputs; ``skipped`` ones are left out. The first
    placeholder has all replicas.
    """
    lowered: dict[Node, Lowered] = dict(given)
    replicas = next(iter(graph.nodes)).meta["val"].shape[0]
    outputs: Sequence[Node] = []
    for node in graph.nodes:
        if node in skipped or node in given:
            continue
        if node.op == "placeholder":
            lowered[node] = Input(_shape(node), str(node.target))
        elif node.op == "output":
            (outputs,) = node.args
        elif node.op == "get_attr":
            lowered[node] = Table(node.meta["val"].clone())
        elif all(isinstance(lowered[source], Table) for source in node.all_input_nodes):
            lowered[node] = _compute_table(node, lowered)
        else:
            lowered[node] = _lower_node(node, lowered, replicas, dtype)
    return [_value(lowered[node], replicas) for node in outputs]


def _compute_table(node: Node, lowered: Mapping[Node, Lowered]) -> Table:
    """What follows from tables alone, computed anew: it may have been changed in place since."""

    def tensor_of(source: Node) -> Any:
        table = lowered[source]
        assert isinstance(table, Table)
        return table.tensor

    assert callable(node.target)
    args, kwargs = map_arg((node.args, node.kwargs), tensor_of)
    return Table(node.target(*args, **kwargs))


def _shape(node: Node) -> tuple[int, ...]:
    """The shape for one replica of a node that has the replica axis, or stands for all."""
    return tuple(node.meta["val"].shape[1:])


def _lower_node(
    node: Node, lowered: dict[Node, Lowered], replicas: int, dtype: torch.dtype
) -> Lowered:
    name = _operation(node)
    rule = RULES.get(name)
    if rule is None:
        raise CannotCompile(f"its step needs the operation {name}, which has no compiled form")
    takes_tables = name in TAKING_TABLES

    def resolve(argument: Any) -> Any:
        if isinstance(argument, Node):
            known = lowered[argument]
            is_table = isinstance(known, Table) and not takes_tables
            return _value(known, replicas) if is_table else known
        if isinstance(argument, list | tuple):
            return [resolve(part) for part in argument]
        return argument

    args = [resolve(argument) for argument in node.args]
    kwargs = {key: resolve(argument) for key, argument in node.kwargs.items()}
    try:
        result: Lowered = rule(*args, **kwargs)
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # of arguments like these
        raise CannotCompile(f"its step needs a form of {name} that is not compiled") from error
    _check_result(node, name, result, replicas, dtype)
    return result


def _operation(node: Node) -> str:
    """The name of a node's operation among the rules, in place or not."""
    if not isinstance(node.target, OpOverload):
        return str(getattr(node.target, "__name__", node.target))
    name, _, overload = str(node.target).removeprefix("aten.").partition(".")
    return f"{name.removesuffix('_')}.{overload}"


def _check_result(
    node: Node, name: str, result: Lowered, replicas: int, dtype: torch.dtype
) -> None:
    """The rule has given the shape that torch computes, and numbers of the compiled type."""
    if not isinstance(result, Value):
        return
    computed = node.meta["val"]
    if result.shape != _shape_of_one(computed, replicas):
        raise CannotCompile(f"its step has the operation {name} across replicas")
    is_bool = isinstance(result, Map) and result.is_bool
    if computed.dtype != (torch.bool if is_bool else dtype):
        raise CannotCompile(f"its step computes {computed.dtype} in the operation {name}")


def _shape_of_one(tensor: Tensor, replicas: int) -> tuple[int, ...]:
    has_replicas = tensor.dim() > 0 and tensor.shape[0] in (replicas, 1)
    return tuple(tensor.shape[1:]) if has_replicas else tuple(tensor.shape)


def _value(lowered: Lowered, replicas: int) -> Value:
    if isinstance(lowered, Table):
        return _constant(lowered.tensor, replicas)
    if not isinstance(lowered, Value):
        raise CannotCompile("a result of its step is no tensor of one replica")
    return lowered


def _constant(tensor: Tensor, replicas: int) -> Constant:
    """A table that holds one number only as a value of one replica."""
    first = tensor.flatten()[0]
    if not bool((tensor == first).all()) or tensor.dtype == torch.bool:
        raise CannotCompile("its step reads a table of numbers that is no parameter")
    return Constant(_shape_of_one(tensor, replicas), float(first))
