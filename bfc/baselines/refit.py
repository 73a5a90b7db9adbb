"""Baselines whose predictor from n points is not contained in the one from more points.

Every n is fitted anew: sparse regression, kernels in sequence, layer-wise training.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from bfc import stop_signals
from bfc.baselines.base import TunedBaseline
from bfc.baselines.checks import POSITIVE, check_strength
from bfc.baselines.selection import choose
from bfc.types import LearningCurve, Target


@dataclass(frozen=True, kw_only=True)
class Refit(TunedBaseline):
    """A baseline that is fitted anew at every n; a subclass gives :meth:`predict` and a label.

    ``regularisation``: its strength, or ``auto`` to choose it from ``regularisation_grid``. Raises
    :class:`bfc.errors.UserError` on a value out of range.
    """

    regularisation: float | Literal["auto"] = "auto"
    regularisation_grid: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0)
    n_max: int = 2048
    n_ratio: float = 1.5

    smallest_ratio: ClassVar[float] = 1.01

    def __post_init__(self) -> None:
        grid = check_strength(
            "regularisation", self.regularisation, self.regularisation_grid, POSITIVE
        )
        object.__setattr__(self, "regularisation_grid", grid)
        super().__post_init__()

    @abstractmethod
    def predict(self, x: Tensor, y: Tensor, x_test: Tensor, strengths: Sequence[float]) -> Tensor:
        """Predictions (S, T) at ``x_test`` (T, d), one row per regularisation of ``strengths``.

        The method is fitted to ``x`` (n, d), ``y`` (n,). One that supports several outputs is given
        one-hot labels (n, outputs) where there are, and predicts (S, T, outputs).
        """

    @property
    def num_tuning_curves(self) -> int:
        is_tuned = self.regularisation == "auto"
        return len(self.regularisation_grid) * self.tuning_draws if is_tuned else 0

    def tune(
        self,
        target: Target,
        test: int,
        device: torch.device | str = "cpu",
        on_curves: Callable[[int], None] = lambda count: None,
    ) -> dict[str, Any]:
        """The regularisation for this cell, by :func:`bfc.baselines.selection.choose`.

        Returns ``regularisation``, ``reached``, ``at_edge`` (whether a wider grid might do better),
        ``eps``, ``test``, ``seeds``, ``tried``.
        """
        settings = {"eps": self.tuning_eps, "test": test}
        if self.regularisation != "auto":
            return {
                "regularisation": float(self.regularisation),
                "reached": None,
                "at_edge": False,
                **settings,
                "seeds": [],
                "tried": [],
            }
        grid = self.regularisation_grid
        risks = []
        for seed in self.tuning_seeds:
            risks.append(self._curves(target, seed, test, grid, device))
            on_curves(len(grid))
        curves = {value: [draw[i] for draw in risks] for i, value in enumerate(grid)}
        selection = choose("regularisation", curves, self.grid, self.tuning_eps)
        return {
            **selection,
            "at_edge": selection["regularisation"] in (min(grid), max(grid)),
            **settings,
            "seeds": self.tuning_seeds,
        }

    def curve(
        self,
        target: Target,
        seed: int,
        test: int,
        tuned: Mapping[str, Any],
        device: torch.device | str = "cpu",
    ) -> LearningCurve:
        """The curve of one seed with ``tuned["regularisation"]``, on ``test`` fresh rows."""
        (risks,) = self._curves(target, seed, test, [tuned["regularisation"]], device)
        return LearningCurve(self.grid, risks)

    def _curves(
        self,
        target: Target,
        seed: int,
        test: int,
        strengths: Sequence[float],
        device: torch.device | str,
    ) -> list[list[float]]:
        """Relative risks on :attr:`grid`, one list per strength."""
        samples = self.draw_samples(target, seed, test, device)
        truth, chance = samples.f_test.unsqueeze(0), samples.draw.chance.item()
        risks = []
        for n in self.grid:
            stop_signals.raise_if_requested()
            predicted = self.predict(samples.x[:n], samples.y[:n], samples.x_test, strengths)
            risks.append(target.error(predicted, truth).mean(1) / chance)
        curves: list[list[float]] = torch.stack(risks, 1).tolist()
        return curves
