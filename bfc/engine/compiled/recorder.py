"""Records what a function does to tensors as a graph of torch's own operations.

It does what ``make_fx`` of torch does for plain tensors, without importing torch's compiler, which
takes a second. The function runs on tensors of few replicas, so the graph says what it did to
those; a function that looks at a number in a tensor is refused, since it may do something else for
others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import getitem
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from bfc.engine.compiled.refusal import CannotCompile

READING = (Tensor.tolist, Tensor.numpy, Tensor.__array__)
"""Functions that hand out the numbers in a tensor without any operation of torch."""
LOOKS_AT_NUMBERS = "it looks at the numbers in a tensor"


def record(
    function: Callable[..., Any],
    inputs: Mapping[str, Tensor],
    whole: Sequence[Callable[..., Tensor]] = (),
) -> GraphModule:
    """The operations that ``function`` runs on these inputs, which become placeholders in order.

    Tensors that it reads beside them become attributes of the module. The value that a node had
    while it was recorded is its ``meta["val"]``. The functions ``whole``, which torch can override,
    are recorded as one operation each. Raises :class:`CannotCompile` where ``function`` does not do
    the same for all numbers in the inputs.
    """
    recorder = _Recorder(inputs)
    with recorder, _Functions(recorder, whole):
        outputs = function(*inputs.values())
        recorder.graph.output(recorder.to_nodes(outputs))
    return GraphModule(recorder.constants, recorder.graph)


def text_of(graph: Graph, constants: Iterable[Node]) -> str:
    """Equal for graphs that do the same, of whose attributes ``constants`` have the same values."""
    tensors = {str(node.target): node.meta["val"] for node in constants}
    values = [(name, tensor.dtype, tensor.tolist()) for name, tensor in tensors.items()]
    return repr((str(graph), values))


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own hook is untyped
    """Adds a node to ``graph`` for every operation inside its ``with`` block."""

    def __init__(self, inputs: Mapping[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = Graph()
        self.constants: dict[str, Tensor] = {}
        self._nodes: dict[int, Node] = {}
        """Identity of a tensor → its node, which keeps the tensor alive."""
        self._is_paused = False
        for name, tensor in inputs.items():
            self._set_node(tensor, self.graph.placeholder(name))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from importing its compiler to leave this out."""
        return False

    def to_nodes(self, tree: Any) -> Any:
        """Nodes in place of the tensors in nested lists and dictionaries."""
        return tree_map_only(Tensor, self._node, tree)

    def _node(self, tensor: Tensor) -> Node:
        if id(tensor) not in self._nodes:
            name = f"constant_{len(self.constants)}"
            self.constants[name] = tensor
            self._set_node(tensor, self.graph.create_node("get_attr", name))
        return self._nodes[id(tensor)]

    def record_whole(self, function: Callable[..., Tensor], args: Any, kwargs: Any) -> Tensor:
        """Record a function as one operation, whatever it consists of."""
        nodes = self.to_nodes((args, kwargs))
        self._is_paused = True
        result = function(*args, **kwargs)
        self._is_paused = False
        self._set_node(result, self.graph.call_function(function, *nodes))
        return result

    def _set_node(self, tensor: Tensor, node: Node) -> None:
        node.meta["val"] = tensor
        self._nodes[id(tensor)] = node

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if self._is_paused:
            return func(*args, **given)
        if torch.Tag.nondeterministic_seeded in getattr(func, "tags", ()):
            raise CannotCompile("it draws random numbers of torch")
        if func is torch.ops.aten.lift_fresh.default:  # a tensor of numbers that Python knows
            return args[0]
        node = self.graph.call_function(func, tuple(self.to_nodes(args)), self.to_nodes(given))
        out = func(*args, **given)
        if isinstance(out, Tensor):
            self._set_node(out, node)
        elif isinstance(out, list | tuple):
            node.meta["val"] = out
            for position, part in enumerate(out):
                self._set_node(part, self.graph.call_function(getitem, (node, position)))
        else:
            raise CannotCompile(LOOKS_AT_NUMBERS)
        return out


class _Functions(TorchFunctionMode):
    """Records some functions as one operation each, and refuses those that read numbers.

    Most of these run an operation of torch, which :class:`_Recorder` sees; the others are
    ``READING``.
    """

    def __init__(self, recorder: _Recorder, functions: Sequence[Callable[..., Tensor]]) -> None:
        super().__init__()
        self.recorder, self.functions = recorder, functions

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in READING:
            raise CannotCompile(LOOKS_AT_NUMBERS)
        if func in self.functions:
            return self.recorder.record_whole(func, tuple(args), dict(kwargs or {}))
        return func(*args, **(kwargs or {}))
