"""Baselines whose predictor from n points is not contained in the one from more points, so that
every n is fitted anew: sparse regression and kernels in sequence. The file holds their base: the
grid of n, the choice of the regularisation on tuning draws (by the rule of
:class:`bfc.baselines.ridge.KernelRidge`) and the learning curve of one seed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from bfc import stop_signals
from bfc.baselines.ridge import SMALLEST_N, choose, geometric_grid, is_integer, is_number
from bfc.errors import require
from bfc.types import LearningCurve, Target, sample


@dataclass(frozen=True, kw_only=True)
class Refit(ABC):
    """A ``Baseline`` that gives :meth:`predict` and :attr:`label`.

    ``regularisation``: its strength, or ``auto`` to choose it from ``regularisation_grid`` on
    ``tuning_draws`` draws of their own, so that n* at risk ``tuning_eps`` is smallest. The curve is
    read at n = 8 … ``n_max``, each about ``n_ratio`` times the last. Raises
    :class:`bfc.errors.UserError` on a value out of range.
    """

    regularisation: float | Literal["auto"] = "auto"
    regularisation_grid: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0)
    n_max: int = 2048
    n_ratio: float = 1.5
    tuning_draws: int = 2
    tuning_eps: float = 0.01

    version: ClassVar[int] = 1
    supports_multi_output: ClassVar[bool] = False

    def __post_init__(self) -> None:
        given = is_number(self.regularisation) and self.regularisation > 0
        require(
            self.regularisation == "auto" or given,
            "baseline.regularisation",
            self.regularisation,
            "auto or a number > 0",
        )
        grid = self.regularisation_grid
        listed = not isinstance(grid, str) and isinstance(grid, Sequence) and len(grid) > 0
        require(
            listed and all(is_number(value) and value > 0 for value in grid),
            "baseline.regularisation_grid",
            grid,
            "a list of numbers > 0",
        )
        object.__setattr__(self, "regularisation_grid", tuple(float(value) for value in grid))
        require(
            is_integer(self.n_max) and self.n_max > SMALLEST_N,
            "baseline.n_max",
            self.n_max,
            f"an integer > {SMALLEST_N}",
        )
        require(
            is_number(self.n_ratio) and self.n_ratio >= 1.01,
            "baseline.n_ratio",
            self.n_ratio,
            "a number >= 1.01",
        )
        require(
            is_integer(self.tuning_draws) and self.tuning_draws >= 1,
            "baseline.tuning_draws",
            self.tuning_draws,
            "an integer >= 1",
        )
        require(
            is_number(self.tuning_eps) and 0 < self.tuning_eps < 1,
            "baseline.tuning_eps",
            self.tuning_eps,
            "a number between 0 and 1",
        )

    @property
    @abstractmethod
    def label(self) -> str:
        """Short human name with what distinguishes this method."""

    @abstractmethod
    def predict(self, x: Tensor, y: Tensor, x_test: Tensor, strengths: Sequence[float]) -> Tensor:
        """Predictions (S, T) at ``x_test`` (T, d) of the method fitted to ``x`` (n, d), ``y`` (n,),
        one row per regularisation."""

    @property
    def grid(self) -> list[int]:
        """The n at which the curve is read."""
        return geometric_grid(self.n_max, self.n_ratio)

    def check(self, target: Target) -> None:  # noqa: B027
        """Every target, unless a subclass refuses one."""

    def tune(self, target: Target, test: int, device: torch.device | str = "cpu") -> dict[str, Any]:
        """The regularisation for this cell, by :func:`bfc.baselines.ridge.choose` on the seeds −1,
        −2, … that no measurement uses. Returns ``regularisation``, ``reached``, ``at_edge``
        (whether a wider grid might do better), ``eps``, ``test``, ``seeds``, ``tried``."""
        about = {"eps": self.tuning_eps, "test": test}
        if self.regularisation != "auto":
            return {
                "regularisation": float(self.regularisation),
                "reached": None,
                "at_edge": False,
                **about,
                "seeds": [],
                "tried": [],
            }
        seeds, grid = [-1 - i for i in range(self.tuning_draws)], self.regularisation_grid
        each = [self._curves(target, seed, test, grid, device) for seed in seeds]
        chosen = choose(
            "regularisation",
            {value: [risks[i] for risks in each] for i, value in enumerate(grid)},
            self.grid,
            self.tuning_eps,
        )
        return {
            **chosen,
            "at_edge": chosen["regularisation"] in (min(grid), max(grid)),
            **about,
            "seeds": seeds,
        }

    def curve(
        self,
        target: Target,
        seed: int,
        test: int,
        tuned: Mapping[str, Any],
        device: torch.device | str = "cpu",
    ) -> LearningCurve:
        """The learning curve of one seed with ``tuned["regularisation"]``, on ``test`` fresh rows."""
        return LearningCurve(
            self.grid, self._curves(target, seed, test, [tuned["regularisation"]], device)[0]
        )

    def _curves(
        self,
        target: Target,
        seed: int,
        test: int,
        strengths: Sequence[float],
        device: torch.device | str,
    ) -> list[list[float]]:
        """Relative risks on :attr:`grid`, one list per strength."""
        draw = target.draw([seed], dtype=torch.float64, device=device)
        (x, y), (x_test, truth) = (
            sample(draw, role, torch.arange(rows, device=device).unsqueeze(0))
            for role, rows in (("train", self.n_max), ("test", test))
        )
        risks = []
        for n in self.grid:
            stop_signals.raise_if_requested()
            predicted = self.predict(x[0, :n], y[0, :n], x_test[0], strengths)
            risks.append(target.error(predicted, truth).mean(1) / draw.chance.item())
        return torch.stack(risks, 1).tolist()
