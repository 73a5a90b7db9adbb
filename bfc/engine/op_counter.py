"""What a piece of code does, counted operation by operation.

The bytes that a step writes decide a stack's size. The bytes and products that no program on the
machine can do without are what benchmarks compare it with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm")
ONEDNN = "_linear_pointwise"


class OpCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own hook is untyped
    """Counts the operations inside its ``with`` block."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.written = 0
        """Bytes of the new tensors that operations return."""
        self.moved = 0
        """Bytes read and written if each goes through memory once; views are free."""
        self.flops = 0
        """Floating-point operations of the matrix products."""
        self.products: list[tuple[Tensor, Tensor]] = []
        """Operands of the matrix products."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from importing its compiler, a second of every start, to leave this out."""
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        schema, name = func._schema, func.overloadpacket.__name__  # type: ignore[attr-defined]
        aliases = [returned.alias_info for returned in schema.returns]
        if any(alias is not None and not alias.is_write for alias in aliases):
            return out
        if not any(aliases):
            self.written += _bytes(out)
        self.moved += _bytes((args, kwargs, out))
        if name == ONEDNN:
            self._count_product(args[0], args[1].mT)
        elif name in PRODUCTS:
            self._count_product(args[-2], args[-1])
        return out

    def _count_product(self, a: Tensor, b: Tensor) -> None:
        self.products.append((a.detach(), b.detach()))
        self.flops += 2 * a.numel() * b.shape[-1]


def _bytes(tree: Any) -> int:
    return sum(leaf.nbytes for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
