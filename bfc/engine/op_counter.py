"""What a piece of code does, counted operation by operation: the bytes it writes, from which a
stack's size follows, and the bytes and products that no program on the machine can do without,
which benchmarks compare it with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm")
ONEDNN = "_linear_pointwise"


@dataclass
class OpCounter(TorchDispatchMode):
    """Of the operations inside: ``written`` bytes of the new tensors they return; ``moved`` bytes
    read and written if each goes through memory once (views are free); ``products`` the operands of
    the matrix products and ``flops`` theirs."""

    written: int = 0
    moved: int = 0
    flops: int = 0
    products: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        aliases = [r.alias_info for r in func._schema.returns]
        if any(alias is not None and not alias.is_write for alias in aliases):
            return out
        if not any(aliases):
            self.written += _bytes(out)
        self.moved += _bytes((args, kwargs, out))
        name = func.overloadpacket.__name__
        if name in PRODUCTS or name == ONEDNN:
            a, b = (args[0], args[1].mT) if name == ONEDNN else args[-2:]
            self.products.append((a.detach(), b.detach()))
            self.flops += 2 * a.numel() * b.shape[-1]
        return out


def _bytes(tree: Any) -> int:
    return sum(t.nbytes for t in tree_leaves(tree) if isinstance(t, Tensor))
