"""Stochastic gradient descent, the reference against which other optimizers are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bfc.errors import require
from bfc.optimizers.base import Optimizer


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent with heavy-ball momentum: v = momentum v + g, w = w - lr v."""

    identity_name: ClassVar[str] = "bfc.engine.optimizers.SGD"
    version: ClassVar[int] = 1
    state_names: ClassVar[tuple[str, ...]] = ("velocity",)

    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "a number in [0, 1)")

    def _update(
        self, flat: Tensor, grad: Tensor, state: dict[str, Tensor], lr: Tensor, clock: Tensor
    ) -> None:
        if self.momentum:
            grad = state["velocity"].mul_(self.momentum).add_(grad)
        flat.addcmul_(lr.expand_as(grad), grad, value=-1)
