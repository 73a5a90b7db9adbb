"""One optimizer step of a stack as a graph of torch's own operations, with fixed shapes.

What is traced is the very function by which the plain path takes its steps
(:func:`bfc.engine.steps.take_step`), so every learner, loss, regulariser, clipping, optimizer and
projection is covered without code of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import functionalize
from torch.fx import Graph, GraphModule

from bfc.engine.compiled.recorder import record
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.shapes import StepShapes, input_names
from bfc.engine.gradients import gradient_of
from bfc.engine.recipe import Recipe
from bfc.engine.steps import take_step, views
from bfc.matmul import stacked_products
from bfc.types import Stage

STACK_SIZES = (13, 17, 19, 23, 29, 31, 61, 67)
"""Replicas of the traced stack: the first of these that is no other size in it."""
os.environ.setdefault("TORCH_DISABLE_FUNCTIONALIZATION_META_REFERENCE", "1")
# Torch would check operations in place on tensors without values too, and imports its compiler.


def trace_step(recipe: Recipe, stage: Stage, shapes: StepShapes) -> Graph:
    """The graph of one step in ``stage``; its replicas are axis 0 of every input.

    Inputs are named by :func:`input_names`; the outputs are the training loss, what trains, and the
    buffers. Raises :class:`CannotCompile` where the step cannot be traced.
    """
    recipe = replace(recipe, device=torch.device("cpu"))
    for replicas in STACK_SIZES:
        with refused("its step"), stacked_products():
            gradient = _trace_gradient(recipe, stage, shapes, replicas)
            _refuse_convolutions(gradient.graph)
            module = _trace_update(recipe, shapes, gradient, replicas)
        if not has_axis_of(module, replicas):
            break
    for node in list(module.graph.nodes):
        if node.op == "call_function" and node.target is torch.ops.aten.copy_.default:
            module.graph.erase_node(node)  # of the inputs changed in place, which are outputs too
    module.graph.eliminate_dead_code()
    return module.graph


def trace_statistics(recipe: Recipe, present: frozenset[str], shapes: StepShapes) -> Graph:
    """The graph of the learner's statistics on rows ``x``, whose output has them in one row.

    Raises :class:`CannotCompile` where they cannot be traced.
    """
    names = list(shapes.fixed)

    def statistics(x: Tensor, *values: Tensor) -> tuple[Tensor]:
        params = dict(zip(names, values, strict=True))
        constants = recipe.learner.statistics(params, x, present)
        return (torch.cat([constants[name].flatten(1) for name in shapes.trained], 1),)

    for replicas in STACK_SIZES:
        inputs = {"x": _zeros(recipe, replicas, shapes.rows, shapes.input_width)}
        for name, shape in shapes.fixed.items():
            inputs[f"fixed_{name}"] = _zeros(recipe, replicas, *shape)
        with refused("its statistics"), torch.no_grad(), stacked_products():
            module = record(functionalize(record(statistics, inputs), remove="mutations"), inputs)
        if not has_axis_of(module, replicas):
            break
    module.graph.eliminate_dead_code()
    return module.graph


@contextmanager
def refused(what: str) -> Iterator[None]:
    """What fails while it is traced has no compiled form; operation by operation it may run."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        first_line = str(e).partition("\n")[0]
        raise CannotCompile(f"{what} cannot be traced ({first_line})") from e


def has_axis_of(module: GraphModule, replicas: int) -> bool:
    """Whether an axis that is not the first is as long as there are replicas."""
    values = [node.meta.get("val") for node in module.graph.nodes]
    return any(isinstance(value, Tensor) and replicas in value.shape[1:] for value in values)


def _trace_gradient(recipe: Recipe, stage: Stage, shapes: StepShapes, replicas: int) -> GraphModule:
    """x, y and all parameters → the loss, and a gradient per parameter that trains.

    Automatic differentiation is traced through here; what changes tensors in place is replaced
    later, with the rest of the step.
    """
    names = [*shapes.fixed, *shapes.trained]

    def gradient(x: Tensor, y: Tensor, *values: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        params = dict(zip(names, values, strict=True))
        return gradient_of(recipe, params, list(shapes.trained), stage)(x, y)

    inputs = {
        "x": _zeros(recipe, replicas, shapes.rows, shapes.input_width),
        "y": _zeros(recipe, replicas, shapes.rows),
    }
    for name, shape in {**shapes.fixed, **shapes.trained}.items():
        inputs[f"parameter_{name}"] = _zeros(recipe, replicas, *shape)
    return record(gradient, inputs)


def _refuse_convolutions(graph: Graph) -> None:
    if graph.find_nodes(op="call_function", target=torch.ops.aten.convolution.default):
        raise CannotCompile("its convolutions take the replicas for groups of channels")


def _trace_update(
    recipe: Recipe, shapes: StepShapes, gradient: GraphModule, replicas: int
) -> GraphModule:
    """The whole step, from the traced gradient on."""
    names = input_names(shapes)

    def step(*inputs: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(names, inputs, strict=True))
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

    inputs = dict(zip(names, _inputs(recipe, shapes, replicas), strict=True))
    return record(functionalize(step, remove="mutations"), inputs)


def _inputs(recipe: Recipe, shapes: StepShapes, replicas: int) -> list[Tensor]:
    """Zeros for the inputs of :func:`input_names`."""
    flat = [_zeros(recipe, replicas, shapes.num_trained) for _ in ("flat", *shapes.buffers)]
    x = _zeros(recipe, replicas, shapes.rows, shapes.input_width)
    y = _zeros(recipe, replicas, shapes.rows)
    multiplier = [_zeros(recipe, 1, shapes.num_trained)] if shapes.has_multiplier else []
    fixed = [_zeros(recipe, replicas, *shape) for shape in shapes.fixed.values()]
    clock = torch.zeros(replicas, 1, dtype=torch.int64)
    return [x, y, _zeros(recipe, replicas, 1), clock, *flat, *multiplier, *fixed]


def _zeros(recipe: Recipe, *shape: int) -> Tensor:
    return torch.zeros(*shape, dtype=recipe.dtype)
