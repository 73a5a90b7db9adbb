"""Regression with the squared loss, the setting of the main theorems of all three papers.

A method sees y = f*(x) + noise, if there is any, and is judged against f*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets.wrapped import Wrapped, WrappedDraw
from bfc.types import Draw, Target, TargetWrapper


@dataclass(frozen=True)
class Regression(TargetWrapper):
    """Labels f*(x) + noise · sd(f*) · N(0, 1) in every role but ``test``.

    Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.tasks.regression.Regression"
    version: ClassVar[int] = 1

    noise: float = 0.0
    """Standard deviation of the label noise in units of sd(f*)."""

    def __post_init__(self) -> None:
        require(0 <= self.noise < float("inf"), "task.noise", self.noise, "a number >= 0")

    def wrap(self, target: Target) -> Target:
        return _Noisy(target, self).as_target() if self.noise else target


class _Noisy(Wrapped[Regression]):
    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Draw:
        return _NoisyDraw(self.target.draw(seeds, dtype, device), self.wrapper).as_draw()


class _NoisyDraw(WrappedDraw[Regression]):
    def observe(self, role: str, rows: Tensor, x: Tensor) -> Tensor:
        y = self.inner.observe(role, rows, x)
        if role == "test":
            return y
        keys = random.keys(self.inner.seeds, f"noise/{role}", y.device)
        sd = self.inner.variance.to(y.device, y.dtype).sqrt().unsqueeze(1)
        g = random.normal_rows(keys, rows.to(y.device), 1, y.dtype).squeeze(-1)
        return y + self.wrapper.noise * sd * g
