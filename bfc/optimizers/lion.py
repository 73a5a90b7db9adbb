"""Lion: every parameter moves by the learning rate exactly, whatever the size of its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bfc.errors import require
from bfc.optimizers.base import Optimizer


@dataclass(frozen=True, kw_only=True)
class Lion(Optimizer):
    """Lion (Chen et al., arXiv:2302.06675, Algorithm 2), with decoupled weight decay.

    With the betas (b1, b2): w = w - lr (sign(b1 m + (1 - b1) g) + weight_decay w), then
    m = b2 m + (1 - b2) g. The momentum m starts at zero.
    """

    identity_name: ClassVar[str] = "bfc.optimizers.lion.Lion"
    version: ClassVar[int] = 1
    state_names: ClassVar[tuple[str, ...]] = ("momentum",)

    lr: float = 0.001
    betas: tuple[float, float] = (0.9, 0.99)
    """Interpolation of momentum and gradient in the step, and in the momentum itself."""
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        valid_betas = all(0 <= beta < 1 for beta in self.betas)
        require(valid_betas, "optimizer.betas", list(self.betas), "two numbers in [0, 1)")
        valid_decay = 0 <= self.weight_decay < float("inf")
        require(valid_decay, "optimizer.weight_decay", self.weight_decay, "a number >= 0")

    def _update(
        self, flat: Tensor, grad: Tensor, state: dict[str, Tensor], lr: Tensor, clock: Tensor
    ) -> None:
        step_beta, momentum_beta = self.betas
        momentum = state["momentum"]
        update = momentum.lerp(grad, 1 - step_beta).sign_()
        if self.weight_decay:
            update.add_(flat, alpha=self.weight_decay)
        momentum.lerp_(grad, 1 - momentum_beta)
        flat.addcmul_(lr.expand_as(update), update, value=-1)
