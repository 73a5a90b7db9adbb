"""One optimizer step of a stack as a graph of torch's own operations, with fixed shapes.

What is traced is the very function by which the plain path takes its steps
(:func:`bfc.engine.steps.take_step`), so every learner, loss, regulariser, clipping, optimizer and
projection is covered without code of its own. It runs on torch's ``meta`` device, which knows
shapes and no values: a step that looks at a value cannot be traced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import functionalize
from torch.fx import Graph, GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.shapes import REPLICAS, StepShapes, input_names
from bfc.engine.gradients import gradient_of
from bfc.engine.recipe import Recipe
from bfc.engine.steps import take_step, views
from bfc.types import Stage


def trace_step(recipe: Recipe, stage: Stage, shapes: StepShapes) -> Graph:
    """The graph of one step in ``stage``; its replicas are axis 0 of every input.

    Inputs are named by :func:`input_names`; the outputs are the training loss, what trains, and the
    buffers. Raises :class:`CannotCompile` where the step cannot be traced.
    """
    recipe = replace(recipe, device=torch.device("meta"))
    try:
        gradient = _trace_gradient(recipe, stage, shapes)
        traced = _trace_update(recipe, shapes, gradient)
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        first_line = str(error).partition("\n")[0]
        raise CannotCompile(f"its step cannot be traced ({first_line})") from error
    graph = traced.graph
    for node in list(graph.nodes):
        if node.op == "call_function" and node.target is torch.ops.aten.copy_.default:
            graph.erase_node(node)  # of the inputs that are changed in place, which are outputs too
    graph.eliminate_dead_code()
    if any(node.op == "get_attr" for node in graph.nodes):
        raise CannotCompile("its step reads a table of numbers that is no parameter")
    return graph


def _trace_gradient(recipe: Recipe, stage: Stage, shapes: StepShapes) -> GraphModule:
    """x, y and all parameters → the loss, and a gradient per parameter that trains.

    Automatic differentiation is traced through here; what changes tensors in place is replaced
    later, with the rest of the step.
    """
    names = [*shapes.fixed, *shapes.trained]

    def gradient(x: Tensor, y: Tensor, *values: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        params = dict(zip(names, values, strict=True))
        return gradient_of(recipe, params, list(shapes.trained), stage)(x, y)

    values = [
        _empty(recipe, *shape) for shape in (*shapes.fixed.values(), *shapes.trained.values())
    ]
    x, y = _empty(recipe, shapes.rows, shapes.input_width), _empty(recipe, shapes.rows)
    return make_fx(gradient)(x, y, *values)


def _trace_update(recipe: Recipe, shapes: StepShapes, gradient: GraphModule) -> GraphModule:
    """The whole step, from the traced gradient on."""

    def step(*inputs: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(input_names(shapes), inputs, strict=True))
        flat = named["flat"]
        buffers = {name: named[f"buffer_{name}"] for name in shapes.buffers}
        fixed = {name: named[f"fixed_{name}"] for name in shapes.fixed}
        like = [flat.new_empty(1, *shape) for shape in shapes.trained.values()]
        params = {**fixed, **dict(zip(shapes.trained, views(flat, like), strict=True))}
        loss = take_step(
            recipe,
            lambda x, y: gradient(x, y, *params.values()),
            params,
            flat,
            buffers,
            named["x"],
            named["y"],
            named["rate"],
            named["clock"],
            named.get("multiplier"),
        )
        return (loss, flat, *buffers.values())

    return make_fx(functionalize(step, remove="mutations"))(*_inputs(recipe, shapes))


def _inputs(recipe: Recipe, shapes: StepShapes) -> list[Tensor]:
    flat = [_empty(recipe, shapes.num_trained) for _ in ("flat", *shapes.buffers)]
    x, y = _empty(recipe, shapes.rows, shapes.input_width), _empty(recipe, shapes.rows)
    multiplier = [_empty(recipe, shapes.num_trained)[:1]] if shapes.has_multiplier else []
    fixed = [_empty(recipe, *shape) for shape in shapes.fixed.values()]
    clock = torch.empty(REPLICAS, 1, dtype=torch.int64, device=recipe.device)
    return [x, y, _empty(recipe, 1), clock, *flat, *multiplier, *fixed]


def _empty(recipe: Recipe, *shape: int) -> Tensor:
    return torch.empty(REPLICAS, *shape, dtype=recipe.dtype, device=recipe.device)
