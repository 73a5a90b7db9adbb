"""The base of everything laid over a target (:class:`bfc.types.TargetWrapper`): a task changes the
labels a method sees and the error it is judged by, a representation changes the inputs. A wrapped
target answers every question it does not answer itself with the inner one's answer, so that any
lens composes with any target and with the other lens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from bfc.types import Draw, Target


@dataclass(frozen=True)
class Wrapped:
    """A target seen through a lens; what is not defined here is the inner target's."""

    target: Target
    lens: Any

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(object.__getattribute__(self, "target"), name)

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Draw:
        raise TypeError(f"{type(self).__name__}: must define draw")


@dataclass(frozen=True)
class WrappedDraw:
    """A draw seen through a lens; a subclass adds per-seed tensors (R first) and selects them in
    :meth:`select`."""

    inner: Draw
    lens: Any

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(object.__getattribute__(self, "inner"), name)

    def select(self, index: Sequence[int]) -> WrappedDraw:
        return replace(self, inner=self.inner.select(index))
