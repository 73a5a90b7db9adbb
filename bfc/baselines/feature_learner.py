"""Methods that learn features in closed form, without gradient descent.

They are fitted anew at every n, and what they learn on the way, directions of the inputs or
quadratic forms, is compared with what the target plants. A baseline by contract, a whole learning
curve per seed, which means "fitted in closed form" and not "learns no features".
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from bfc import stop_signals
from bfc.baselines.base import Samples
from bfc.baselines.checks import POSITIVE, Range
from bfc.baselines.choices import TunedRidge, edges_of
from bfc.baselines.memory import available_memory
from bfc.baselines.selection import choose
from bfc.errors import require
from bfc.targets.overlap import form_overlap, subspace_overlap
from bfc.types import LearningCurve, Target

MOST_FORMS = 8
"""Planted forms whose overlaps are recorded one by one, at most."""
MATRICES = 4
"""Matrices of n² numbers that the fit of a kernel machine holds at most."""


@dataclass(frozen=True)
class Fit:
    """What a method answers after one fit, and what it has learned."""

    predicted: Tensor
    """Predictions at the test rows, (T,), or (T, outputs) for labels (n, outputs)."""
    directions: Tensor | None = None
    """Directions of the inputs, the most important first: orthonormal columns (d, m)."""
    forms: Tensor | None = None
    """Quadratic forms, the most important first: symmetric matrices (m, d, d)."""


@dataclass(frozen=True, kw_only=True)
class FeatureLearner(TunedRidge):
    """A method that a subclass fits in :meth:`fit`, at every n of the grid.

    Raises :class:`bfc.errors.UserError` on a value out of range.
    """

    ridge_grid: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1)
    n_max: int = 2048
    n_ratio: float = 1.3

    allowed_ridge: ClassVar[Range] = POSITIVE

    @abstractmethod
    def fit(self, x: Tensor, y: Tensor, x_test: Tensor, ridge: float) -> Fit:
        """The method fitted to ``x`` (n, d), ``y`` (n,) and asked at ``x_test`` (T, d), float64.

        A method that supports several outputs is given one-hot labels (n, outputs) where there are.
        """

    @abstractmethod
    def fit_seconds(self, n: int, width: int, test: int) -> float:
        """Seconds of one :meth:`fit` on one core."""

    def curve_seconds(self, width: int, test: int) -> float:
        return sum(self.fit_seconds(n, width, test) for n in self.grid)

    def tune(
        self,
        target: Target,
        test: int,
        device: torch.device | str = "cpu",
        on_curves: Callable[[int], None] = lambda count: None,
    ) -> dict[str, Any]:
        """λ and what else is ``auto``, by :func:`bfc.baselines.selection.choose`.

        Returns ``ridge`` and every parameter that was ``auto`` by its name; ``reached``, ``edges``,
        ``at_edge``, ``trainings``, ``eps``, ``test``, ``seeds`` and ``tried`` as
        :meth:`bfc.baselines.ridge.KernelRidge.tune` does.
        """
        choices = self._choices()
        best, reached, tried, seeds = choices[0], None, [], []
        if self._is_tuned(choices):
            self._require_memory(target, device)
            seeds = self.tuning_seeds
            curves: dict[int, list[list[float]]] = {number: [] for number in range(len(choices))}
            for seed in seeds:
                samples = self.draw_samples(target, seed, test, device)
                for number, choice in enumerate(choices):
                    curve = self._with_choice(choice)._fit_curve(target, samples, choice["ridge"])
                    curves[number].append(curve.risk)
                    on_curves(1)
            selection = choose("choice", curves, self.grid, self.tuning_eps)
            best, reached = choices[selection["choice"]], selection["reached"]
            results = {entry.pop("choice"): entry for entry in selection["tried"]}
            tried = [{**choice, **results[number]} for number, choice in enumerate(choices)]
        edges = edges_of(best, self._grids())
        return {
            **best,
            "reached": reached,
            "edges": edges,
            "at_edge": bool(edges),
            "trainings": len(choices) * len(seeds),
            "eps": self.tuning_eps,
            "test": test,
            "seeds": seeds,
            "tried": tried,
        }

    def curve(
        self,
        target: Target,
        seed: int,
        test: int,
        tuned: Mapping[str, Any],
        device: torch.device | str = "cpu",
    ) -> LearningCurve:
        """The curve of one seed with what was tuned, on ``test`` fresh rows.

        Raises :class:`bfc.errors.UserError` if memory does not suffice.
        """
        self._require_memory(target, device)
        samples = self.draw_samples(target, seed, test, device)
        return self._with_choice(tuned)._fit_curve(target, samples, tuned["ridge"])

    def _fit_curve(self, target: Target, samples: Samples, ridge: float) -> LearningCurve:
        chance = samples.draw.chance.item()
        truth = samples.f_test.unsqueeze(0)
        risks, overlaps = [], []
        for n in self.grid:
            stop_signals.raise_if_requested()
            fit = self.fit(samples.x[:n], samples.y[:n], samples.x_test, ridge)
            risks.append(float(target.error(fit.predicted.unsqueeze(0), truth).mean()) / chance)
            overlaps.append(measure_overlaps(fit, samples))
        names = overlaps[0].keys()
        return LearningCurve(self.grid, risks, {k: [entry[k] for entry in overlaps] for k in names})

    def fit_bytes(self, width: int) -> int:
        """Memory of the largest fit, for inputs of ``width`` coordinates."""
        return 8 * MATRICES * self.n_max**2

    def _require_memory(self, target: Target, device: torch.device | str) -> None:
        """Refuse a curve whose largest fit has no room, before its data are drawn."""
        needed, free = self.fit_bytes(target.input_width), available_memory(device)
        require(
            needed <= free,
            "baseline.n_max",
            self.n_max,
            f"smaller: a fit needs {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free",
        )


def solve_ridge(kernel: Tensor, y: Tensor, ridge: float) -> Tensor:
    """α = (K + λI)⁻¹y, shaped as y, (n,) or (n, outputs); ``kernel`` K (n, n) is overwritten.

    Raises :class:`bfc.errors.UserError` where K + λI is numerically singular.
    """
    kernel.diagonal().add_(ridge)
    factor, failed_at = torch.linalg.cholesky_ex(kernel)
    require(
        not int(failed_at),
        "baseline.ridge",
        ridge,
        f"larger: K + ridge I is numerically singular at n={len(y)}",
    )
    alpha = torch.cholesky_solve(y.view(len(y), -1), factor)
    return alpha.view(y.shape)


def measure_overlaps(fit: Fit, samples: Samples) -> dict[str, float]:
    """Overlaps of what was learned with what is planted, by name; those that are defined.

    As many directions, or forms, count as are planted. ``form_1``, ``form_2`` ... are the shares of
    single planted forms in the span of the learned ones.
    """
    overlaps = {}
    if fit.directions is not None and (subspace := samples.draw.planted_subspace) is not None:
        leading = fit.directions[:, : subspace.shape[2]]
        overlaps["subspace"] = subspace_overlap(leading, subspace[0])
    if fit.forms is not None and (forms := samples.draw.planted_forms) is not None:
        leading_forms, planted = fit.forms[: forms.shape[1]], forms[0]
        overlaps["forms"] = form_overlap(leading_forms, planted)
        if 1 < len(planted) <= MOST_FORMS:
            for number, form in enumerate(planted, start=1):
                overlaps[f"form_{number}"] = form_overlap(leading_forms, form.unsqueeze(0))
    return overlaps
