"""The base of everything laid over a target (:class:`bfc.types.TargetWrapper`).

A task changes the labels that a method sees and the error that it is judged by, a representation
changes the inputs. A wrapped target delegates what it does not define to the target inside, so that
every wrapper composes with every target and with other wrappers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar, cast

import torch
from torch import Tensor

from bfc.types import Draw, Target

W = TypeVar("W")
"""The class of a wrapper."""


@dataclass(frozen=True)
class Wrapped(Generic[W]):
    """A target seen through a wrapper; what is not defined here is the inner target's."""

    target: Target
    wrapper: W

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(object.__getattribute__(self, "target"), name)

    def as_target(self) -> Target:
        """This object for a type checker, which does not see delegated attributes."""
        return cast(Target, self)

    @property
    def unwrapped(self) -> Target:
        """As :attr:`bfc.types.Target.unwrapped`."""
        return self.target.unwrapped

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Draw:
        """One realisation per seed, seen through the wrapper; every subclass defines it."""
        raise TypeError(f"{type(self).__name__}: must define draw")

    @property
    def has_squared_loss(self) -> bool:
        """As :attr:`bfc.types.Target.has_squared_loss`: False where a subclass changes the loss."""
        return type(self).loss is Wrapped.loss and self.target.has_squared_loss

    @property
    def has_squared_error(self) -> bool:
        """As :attr:`bfc.types.Target.has_squared_error`."""
        return type(self).error is Wrapped.error and self.target.has_squared_error

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        """The inner target's training loss."""
        return self.target.loss(out, y)

    def error(self, out: Tensor, y: Tensor) -> Tensor:
        """The inner target's error."""
        return self.target.error(out, y)


@dataclass(frozen=True)
class WrappedDraw(Generic[W]):
    """A draw seen through a wrapper; what is not defined here is the inner draw's.

    A subclass adds tensors (R first) and selects them in :meth:`select`.
    """

    inner: Draw
    wrapper: W

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(object.__getattribute__(self, "inner"), name)

    def as_draw(self) -> Draw:
        """This object for a type checker, which does not see delegated attributes."""
        return cast(Draw, self)

    @property
    def unwrapped(self) -> Draw:
        """As :attr:`bfc.types.Draw.unwrapped`."""
        return self.inner.unwrapped

    def select(self, index: Sequence[int]) -> Self:
        """The draw of a subset (or repetition) of the replicas."""
        return replace(self, inner=self.inner.select(index))
