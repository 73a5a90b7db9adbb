"""Fresh rows of a target as a program, so that generated code draws them itself.

What is traced is :func:`bfc.types.sample` on the draws of a stack. The random streams that it reads
stay whole operations; the tensors of the draws (weights of the target, keys of its streams) become
inputs with a replica axis.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import GraphModule, Node

from bfc import random
from bfc.engine.compiled.lowering import lower_outputs
from bfc.engine.compiled.program import Input, Program
from bfc.engine.compiled.recorder import record, text_of
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.shapes import DrawnInputs, Shape
from bfc.engine.compiled.tracing import STACK_SIZES, has_axis_of, refused
from bfc.shapes import Float, Int
from bfc.types import Draw, sample


def trace_rows(
    draw: Draw, rows: int, dtype: torch.dtype, device: torch.device
) -> tuple[Program, DrawnInputs]:
    """The program that draws inputs ``x`` and labels ``y`` of a batch, and what it reads.

    Raises :class:`CannotCompile` where there is none.
    """
    for replicas in STACK_SIZES:
        with refused("drawing its rows"):
            module = _record(draw.select([0] * replicas), rows, device)
        if not has_axis_of(module, replicas):
            break
    keys: list[str] = []
    tensors: dict[str, Shape] = {}
    tables = []
    for node in module.graph.find_nodes(op="get_attr"):
        name, tensor = str(node.target), node.meta["val"]
        if tensor.dim() == 0 or tensor.shape[0] != replicas:
            tables.append(node)
        elif tensor.dtype == torch.int64 and tensor.dim() == 1:
            keys.append(name)
        elif tensor.dtype == dtype:
            tensors[name] = tuple(tensor.shape[1:])
        else:
            raise CannotCompile(f"its rows are drawn with {tensor.dtype}")
    _check_changes(module)
    text = repr((text_of(module.graph, tables), dtype))
    inputs = DrawnInputs(tuple(keys), tensors, hashlib.sha256(text.encode()).hexdigest())
    return _lower(module, inputs, dtype), inputs


def _record(draw: Draw, rows: int, device: torch.device) -> GraphModule:
    numbers = torch.arange(rows, device=device).expand(len(draw.seeds), -1)
    return record(
        lambda rows: sample(draw, "train", rows), {"rows": numbers}, (random.normal_rows,)
    )


def _check_changes(module: GraphModule) -> None:
    """Refuse a change in place of a tensor that is read by another name later.

    The rules take what such an operation returns for a new value.
    """
    order = {node: number for number, node in enumerate(module.graph.nodes)}
    for node in order:
        if isinstance(node.target, OpOverload) and node.target._schema.is_mutable:
            for other in order:
                is_later = any(order[user] > order[node] for user in other.users)
                if is_later and _is_alias(other, node):
                    raise CannotCompile("its rows are changed in place under several names")


def _is_alias(node: Node, changed: Node) -> bool:
    """Whether another tensor has the memory of one that is changed."""
    tensor, other = node.meta.get("val"), changed.meta["val"]
    if not isinstance(tensor, Tensor) or tensor is other:
        return False
    same: bool = tensor.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
    return same


def _lower(module: GraphModule, inputs: DrawnInputs, dtype: torch.dtype) -> Program:
    given = {}
    for node in module.graph.find_nodes(op="get_attr"):
        name = str(node.target)
        if name in inputs.keys:
            given[node] = Input((), name)
        elif name in inputs.tensors:
            given[node] = Input(inputs.tensors[name], name)
    x, y = lower_outputs(module.graph, given, frozenset(), dtype)
    return Program({"x": x, "y": y})


def read_draws(
    draw: Draw, rows: int, inputs: DrawnInputs, device: torch.device
) -> tuple[Int[Tensor, "R keys"], Float[Tensor, "R numbers"]]:
    """What drawing rows of these draws reads."""
    module = _record(draw, rows, device)
    read = {str(node.target): node.meta["val"] for node in module.graph.find_nodes(op="get_attr")}
    none = torch.zeros(len(draw.seeds), 0, device=device)
    keys = [read[name].unsqueeze(1) for name in inputs.keys]
    numbers = [read[name].reshape(len(draw.seeds), -1) for name in inputs.tensors]
    return torch.cat([none.long(), *keys], 1), torch.cat(numbers or [none], 1)
