"""What every optimizer shares: the schedule of its learning rate and clipping, per replica.

Optimizers act on a whole stack at once: one flat (R, P) buffer per state, with a learning rate, a
clock and a clipping norm per replica. Those of torch know one learning rate and one gradient norm
for a whole stack, which would couple replicas that must be independent.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from bfc import types
from bfc.errors import require


@dataclass(frozen=True, kw_only=True)
class Optimizer(types.Optimizer, ABC):
    """Base of the optimizers; a subclass adds its update rule and the names of its buffers.

    The learning rate warms up linearly, then stays constant or falls to zero along a cosine, anew
    in every phase.
    """

    version: ClassVar[int] = 1
    state_names: ClassVar[tuple[str, ...]] = ()
    """Buffers (R, P) that :meth:`step` finds in ``state``, zero at the start of a phase."""

    lr: float = 0.01
    batch: int = 256
    """Rows per step and replica."""
    sampling: Literal["replacement", "epochs"] = "replacement"
    """How rows of a finite training set are chosen: independently with replacement, or in order and
    over and over (``epochs``), so that each is used equally often.

    With ``epochs`` and a batch as large as the set, every step takes the full gradient. Fresh data
    are taken in the order in which they are drawn.
    """
    clip: float | None = 1.0
    """Largest Euclidean norm of a replica's gradient over the parameters that train; null: none."""
    warmup: int = 100
    """Steps of linear warm-up at the start of every phase."""
    decay: Literal["cosine", "constant"] = "cosine"

    def __post_init__(self) -> None:
        require(0 < self.lr < float("inf"), "optimizer.lr", self.lr, "a number > 0")
        valid_batch = 1 <= self.batch <= 1 << 20
        require(valid_batch, "optimizer.batch", self.batch, "an integer from 1 to 1048576")
        valid_clip = self.clip is None or 0 < self.clip < float("inf")
        require(valid_clip, "optimizer.clip", self.clip, "null or a number > 0")
        require(self.warmup >= 0, "optimizer.warmup", self.warmup, "an integer >= 0")

    def with_lr(self, lr: float) -> Self:
        """The same optimizer with another learning rate."""
        return replace(self, lr=lr)

    def rate(self, clock: Tensor, steps: int) -> Tensor:
        """Multiplier of ``lr`` at step ``clock`` of a phase of ``steps`` steps.

        ``clock`` is int64 of any shape; the result has that shape, float64.
        """
        t = clock.double()
        warm = ((t + 1) / self.warmup).clamp(max=1.0) if self.warmup else torch.ones_like(t)
        if self.decay == "constant":
            return warm
        start = min(self.warmup, steps - 1)
        return warm * 0.5 * (1 + ((t - start).clamp(min=0) / (steps - start) * math.pi).cos())

    def step(
        self, flat: Tensor, grad: Tensor, state: dict[str, Tensor], lr: Tensor, clock: Tensor
    ) -> None:
        """Update ``flat`` (R, P) in place from ``grad`` (R, P), clipped per replica.

        ``lr`` is (R, 1), or (R, P) where a learner has multipliers; ``clock`` is (R, 1).
        """
        if self.clip is not None:
            norm = grad.norm(dim=1, keepdim=True)
            grad = grad * (self.clip / norm.clamp(min=self.clip))
        self._update(flat, grad, state, lr, clock)

    @abstractmethod
    def _update(
        self, flat: Tensor, grad: Tensor, state: dict[str, Tensor], lr: Tensor, clock: Tensor
    ) -> None:
        """The update rule, in place in ``flat`` and in the buffers of ``state``."""
