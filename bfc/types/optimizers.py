"""What an optimizer must offer: one step of a stack, with a rate and a clock per replica."""

from __future__ import annotations

from typing import ClassVar, Protocol

from torch import Tensor

from bfc.component import Component
from bfc.shapes import Float, Int


class Optimizer(Component, Protocol, config_key="optimizer"):
    """One step of a stack, with a learning rate and clock per replica (:mod:`bfc.optimizers`)."""

    identity_name: ClassVar[str]
    version: ClassVar[int]
    state_names: ClassVar[tuple[str, ...]]
    """Names of the buffers that it keeps, each of the shape of the parameters."""

    @property
    def lr(self) -> float: ...

    @property
    def batch(self) -> int: ...

    @property
    def sampling(self) -> str:
        """``replacement`` or ``epochs``."""
        ...

    @property
    def warmup(self) -> int: ...

    @property
    def decay(self) -> str: ...

    def with_lr(self, lr: float) -> Optimizer:
        """The same optimizer with another learning rate."""
        ...

    def rate(self, clock: Int[Tensor, "R k"], steps: int) -> Float[Tensor, "R k"]:
        """Multiplier of ``lr`` at step ``clock`` of a phase of ``steps`` steps."""
        ...

    def step(
        self,
        flat: Float[Tensor, "R P"],
        grad: Float[Tensor, "R P"],
        state: dict[str, Tensor],
        lr: Float[Tensor, "R #P"],  # noqa: F821  (a shape, not a name)
        clock: Int[Tensor, "R 1"],
    ) -> None:
        """Update the parameters ``flat`` in place from their gradient."""
        ...
