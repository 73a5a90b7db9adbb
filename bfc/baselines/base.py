"""What all baselines share: the grid of n, the tuning draws and the data of one seed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.baselines.checks import (
    OPEN_UNIT_INTERVAL,
    check_value,
    integers_from,
    is_integer,
    is_number,
)
from bfc.baselines.selection import SMALLEST_N, geometric_grid
from bfc.errors import require
from bfc.targets.class_target import one_hot
from bfc.types import Baseline, Draw, Target, sample


@dataclass(frozen=True)
class Samples:
    """Data of one seed: ``x`` (n_max, d), ``y`` (n_max,), ``x_test`` (T, d), ``f_test`` (T,).

    With several outputs ``y`` (n_max, outputs) is one-hot, and ``f_test`` holds class numbers.
    """

    draw: Draw
    x: Tensor
    y: Tensor
    x_test: Tensor
    f_test: Tensor


@dataclass(frozen=True, kw_only=True)
class CurveBaseline(Baseline, ABC):
    """A baseline whose curve is read at n = 8 … ``n_max``, each about ``n_ratio`` times the last.

    Raises :class:`bfc.errors.UserError` on a value out of range.
    """

    n_max: int = 4096
    n_ratio: float = 1.1

    version: ClassVar[int] = 1
    smallest_ratio: ClassVar[float] = 1.001
    """The smallest ``n_ratio`` that is allowed."""

    def __post_init__(self) -> None:
        require(
            is_integer(self.n_max) and self.n_max > SMALLEST_N,
            "baseline.n_max",
            self.n_max,
            f"an integer > {SMALLEST_N}",
        )
        require(
            is_number(self.n_ratio) and self.n_ratio >= self.smallest_ratio,
            "baseline.n_ratio",
            self.n_ratio,
            f"a number >= {self.smallest_ratio}",
        )

    @property
    @abstractmethod
    def label(self) -> str:
        """Short human name with what distinguishes this method."""

    @property
    def grid(self) -> list[int]:
        """The n at which the curve is read."""
        return geometric_grid(self.n_max, self.n_ratio)

    def check(self, target: Target) -> None:
        """Refuse a target that the method cannot be used on; by default none."""

    def draw_samples(
        self, target: Target, seed: int, test: int, device: torch.device | str
    ) -> Samples:
        """``n_max`` training rows and ``test`` fresh rows of one seed, in double precision."""
        draw = target.draw([seed], dtype=torch.float64, device=device)
        x, y = sample(draw, "train", torch.arange(self.n_max, device=device).unsqueeze(0))
        x_test, f_test = sample(draw, "test", torch.arange(test, device=device).unsqueeze(0))
        fitted = one_hot(y[0], target.outputs).to(y.dtype) if target.outputs > 1 else y[0]
        return Samples(draw, x[0], fitted, x_test[0], f_test[0])


@dataclass(frozen=True, kw_only=True)
class TunedBaseline(CurveBaseline, ABC):
    """A baseline with a regularisation that may be chosen on tuning draws.

    Hyper-parameters are chosen on ``tuning_draws`` draws that are never measured on, so that n* at
    risk ``tuning_eps`` is smallest. Raises :class:`bfc.errors.UserError` on a value out of range.
    """

    tuning_draws: int = 2
    tuning_eps: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_value("tuning_draws", self.tuning_draws, integers_from(1))
        check_value("tuning_eps", self.tuning_eps, OPEN_UNIT_INTERVAL)

    @property
    def tuning_seeds(self) -> list[int]:
        """−1, −2, …: seeds that no measurement uses."""
        return [-1 - i for i in range(self.tuning_draws)]
