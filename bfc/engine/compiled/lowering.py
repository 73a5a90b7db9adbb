"""From the graph of a stack's step to the program of one replica.

Every operation of the graph has a rule (:mod:`bfc.engine.compiled.rules`) that works on values
without the replica axis. A rule that would read across that axis does not exist, so a graph that
lowers is one whose replicas are independent; any other is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import Graph, Node

from bfc.engine.compiled.program import Input, Map, Program, Value
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.rules import RULES, Across
from bfc.engine.compiled.scalars import scalar_nodes
from bfc.engine.compiled.shapes import REPLICAS, StepShapes, input_names

Lowered = Value | Across | list[Value]


def lower(graph: Graph, shapes: StepShapes, dtype: torch.dtype) -> Program:
    """The program of a traced step; raises :class:`CannotCompile` where a rule is missing."""
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    names = dict(zip(placeholders, input_names(shapes), strict=True))
    scalars = scalar_nodes(graph)
    lowered: dict[Node, Lowered] = {}
    outputs: Sequence[Node] = []
    for node in graph.nodes:
        if node.op == "placeholder":
            if names[node] not in ("rate", "clock"):
                lowered[node] = Input(_shape(node), names[node])
        elif node.op == "output":
            (outputs,) = node.args
        elif node in scalars.inner:
            continue
        else:
            lowered[node] = _lower_node(node, lowered, scalars.outputs, dtype)
    loss, *state = [_value(lowered[node]) for node in outputs]
    replaced = ["flat", *(f"buffer_{name}" for name in shapes.buffers)]
    used = tuple(name for name in scalars.outputs.values())
    return Program(loss, dict(zip(replaced, state, strict=True)), used)


def _shape(node: Node) -> tuple[int, ...]:
    """The shape for one replica of a node that has the replica axis, or stands for all."""
    return tuple(node.meta["val"].shape[1:])


def _lower_node(
    node: Node, lowered: dict[Node, Lowered], scalars: dict[Node, str], dtype: torch.dtype
) -> Lowered:
    name = str(node.target).removeprefix("aten.")
    rule = RULES.get(name)
    if rule is None:
        raise CannotCompile(f"its step needs the operation {name}, which has no compiled form")

    def resolve(argument: Any) -> Any:
        if isinstance(argument, Node):
            if argument in scalars:
                return Input(_shape(argument), scalars[argument])
            return lowered[argument]
        if isinstance(argument, list | tuple):
            return [resolve(part) for part in argument]
        return argument

    args = [resolve(argument) for argument in node.args]
    kwargs = {key: resolve(argument) for key, argument in node.kwargs.items()}
    result: Lowered = rule(*args, **kwargs)
    _check_result(node, name, result, dtype)
    return result


def _check_result(node: Node, name: str, result: Lowered, dtype: torch.dtype) -> None:
    """The rule has given the shape that torch computes, and numbers of the compiled type."""
    if isinstance(result, Across | list):
        return
    traced = node.meta["val"]
    has_replicas = traced.dim() > 0 and traced.shape[0] in (REPLICAS, 1)
    expected = tuple(traced.shape[1:]) if has_replicas else tuple(traced.shape)
    if result.shape != expected:
        raise CannotCompile(f"its step has the operation {name} across replicas")
    is_bool = isinstance(result, Map) and result.is_bool
    if traced.dtype != (torch.bool if is_bool else dtype):
        raise CannotCompile(f"its step computes {traced.dtype} in the operation {name}")


def _value(lowered: Lowered) -> Value:
    if not isinstance(lowered, Value):
        raise CannotCompile("a result of its step is no tensor of one replica")
    return lowered
