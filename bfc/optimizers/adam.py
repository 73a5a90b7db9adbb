"""Adam, the default: its steps hardly depend on the scale of the gradients of a level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bfc.errors import require
from bfc.optimizers.base import Optimizer


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba, arXiv:1412.6980, Algorithm 1), with decoupled weight decay.

    Before every step w is multiplied by 1 − lr ``weight_decay`` (AdamW: Loshchilov & Hutter,
    arXiv:1711.05101, Algorithm 2), lr the rate of that step.
    """

    identity_name: ClassVar[str] = "bfc.engine.optimizers.Adam"
    version: ClassVar[int] = 1
    state_names: ClassVar[tuple[str, ...]] = ("mean", "square")

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        valid_betas = all(0 <= beta < 1 for beta in self.betas)
        require(valid_betas, "optimizer.betas", list(self.betas), "two numbers in [0, 1)")
        require(self.eps > 0, "optimizer.eps", self.eps, "a number > 0")
        valid_decay = 0 <= self.weight_decay < float("inf")
        require(valid_decay, "optimizer.weight_decay", self.weight_decay, "a number >= 0")

    def _update(
        self, flat: Tensor, grad: Tensor, state: dict[str, Tensor], lr: Tensor, clock: Tensor
    ) -> None:
        first, second = self.betas
        mean = state["mean"].lerp_(grad, 1 - first)
        square = state["square"].mul_(second).addcmul_(grad, grad, value=1 - second)
        t = (clock + 1).double()
        root = (1 - second**t).sqrt().to(flat.dtype)
        scale = lr * root / (1 - first**t).to(flat.dtype)
        if self.weight_decay:
            flat.mul_(1 - lr * self.weight_decay)
        flat.addcdiv_(mean * -scale, square.sqrt().add_(root * self.eps))
