"""SGD and Adam over a stack: one flat (R, P) buffer per state, a learning rate, a clock and a
clipping norm per replica. They exist because library optimizers know one learning rate and one norm
for a whole stack, which would couple replicas that must not see each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc.errors import require


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """What SGD and Adam share. Learning rate: linear warm-up, then constant or cosine to zero, anew
    in every phase."""

    version: ClassVar[int] = 1
    state_names: ClassVar[tuple[str, ...]] = ()

    lr: float = 0.01
    batch: int = 256
    """Rows per step and replica."""
    sampling: Literal["replacement", "epochs"] = "replacement"
    """How rows of a finite training set are chosen: independently, with replacement, or ``epochs``:
    in their order, over and over, each equally often. With a batch as large as the set that is the
    full gradient. Fresh data come as they are."""
    clip: float | None = 1.0
    """Largest Euclidean norm of a replica's gradient over the parameters that train; null: none."""
    warmup: int = 100
    """Steps of linear warm-up at the start of every phase."""
    decay: Literal["cosine", "constant"] = "cosine"

    def __post_init__(self) -> None:
        require(0 < self.lr < float("inf"), "optimizer.lr", self.lr, "a number > 0")
        require(
            1 <= self.batch <= 1 << 20,
            "optimizer.batch",
            self.batch,
            "an integer from 1 to 1048576",
        )
        require(
            self.clip is None or 0 < self.clip < float("inf"),
            "optimizer.clip",
            self.clip,
            "null or a number > 0",
        )
        require(self.warmup >= 0, "optimizer.warmup", self.warmup, "an integer >= 0")

    def rate(self, clock: Tensor, steps: int) -> Tensor:
        """Multiplier of ``lr`` at step ``clock`` (any shape, int64) of a phase of ``steps`` steps;
        float64."""
        t = clock.double()
        warm = ((t + 1) / self.warmup).clamp(max=1.0) if self.warmup else torch.ones_like(t)
        if self.decay == "constant":
            return warm
        start = min(self.warmup, steps - 1)
        return warm * 0.5 * (1 + ((t - start).clamp(min=0) / (steps - start) * math.pi).cos())

    def step(
        self, flat: Tensor, grad: Tensor, state: dict[str, Tensor], lr: Tensor, clock: Tensor
    ) -> None:
        """Update ``flat`` (R, P) in place from ``grad`` (R, P), clipped per replica; lr and clock
        have shape (R, 1)."""
        if self.clip is not None:
            norm = grad.norm(dim=1, keepdim=True)
            grad = grad * (self.clip / norm.clamp(min=self.clip))
        self._update(flat, grad, state, lr, clock)

    def _update(
        self, flat: Tensor, grad: Tensor, state: dict[str, Tensor], lr: Tensor, clock: Tensor
    ) -> None:
        raise TypeError("optimizer: choose bfc.optimizers.base.SGD or Adam")


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent with heavy-ball momentum: v = momentum v + g, w = w - lr v."""

    identity_name: ClassVar[str] = "bfc.engine.optimizers.SGD"

    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "a number in [0, 1)")

    state_names = ("velocity",)

    def _update(
        self, flat: Tensor, grad: Tensor, state: dict[str, Tensor], lr: Tensor, clock: Tensor
    ) -> None:
        if self.momentum:
            grad = state["velocity"].mul_(self.momentum).add_(grad)
        flat.addcmul_(lr.expand_as(grad), grad, value=-1)


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba, arXiv:1412.6980, Algorithm 1)."""

    identity_name: ClassVar[str] = "bfc.engine.optimizers.Adam"

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            all(0 <= b < 1 for b in self.betas),
            "optimizer.betas",
            list(self.betas),
            "two numbers in [0, 1)",
        )
        require(self.eps > 0, "optimizer.eps", self.eps, "a number > 0")

    state_names = ("mean", "square")

    def _update(
        self, flat: Tensor, grad: Tensor, state: dict[str, Tensor], lr: Tensor, clock: Tensor
    ) -> None:
        first, second = self.betas
        mean = state["mean"].lerp_(grad, 1 - first)
        square = state["square"].mul_(second).addcmul_(grad, grad, value=1 - second)
        t = (clock + 1).double()
        root = (1 - second**t).sqrt().to(flat.dtype)
        scale = lr * root / (1 - first**t).to(flat.dtype)
        flat.addcdiv_(mean * -scale, square.sqrt().add_(root * self.eps))
