"""Kernel ridge regression with any positive definite kernel, tuned and measured exactly."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor

from bfc import stop_signals
from bfc.baselines.base import TunedBaseline
from bfc.baselines.checks import NOT_NEGATIVE, check_strength
from bfc.baselines.learning_curve import BLOCK, CurveLabels, learning_curve
from bfc.baselines.memory import available_memory, memory_bytes
from bfc.baselines.panels import gram_matrix, kernel_panels
from bfc.baselines.selection import choose
from bfc.errors import UserError, require
from bfc.types import LearningCurve, Target

Choice = dict[str, float]
"""Parameter → value, λ among them as ``ridge``."""


@dataclass(frozen=True, kw_only=True)
class KernelRidge(TunedBaseline):
    """Kernel ridge regression on a kernel that a subclass gives.

    A subclass is a frozen dataclass with :meth:`gram` (of typical K(x, x) = 1, so that λ means the
    same for every kernel) and :attr:`label`.

    ``ridge``: λ, or ``auto`` to choose it from ``ridge_grid``. A parameter of the kernel may be
    ``auto`` as well where the subclass has a field ``<parameter>_grid``: then every combination of
    the grids is tried on the same draws. The budget is the product of the grids' lengths times
    ``tuning_draws`` curves, whatever d. Raises :class:`UserError` on a value out of range.
    """

    ridge: float | Literal["auto"] = "auto"
    ridge_grid: tuple[float, ...] = (1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1e-1, 1.0)

    def __post_init__(self) -> None:
        grid = check_strength("ridge", self.ridge, self.ridge_grid, NOT_NEGATIVE)
        object.__setattr__(self, "ridge_grid", grid)
        super().__post_init__()

    @abstractmethod
    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """Kernel values of ``x`` (N, d) and ``z`` (M, d), float64 → a new tensor (N, M).

        An entry depends on its two rows only.
        """

    @property
    def tuned_parameters(self) -> dict[str, tuple[float, ...]]:
        """The parameters of the kernel that are ``auto``, with the values that are tried."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        names = [name for name, value in values.items() if value == "auto" and name != "ridge"]
        return {name: values[f"{name}_grid"] for name in names}

    def rank(self, width: int) -> float:
        """Number of features of the kernel on ``width`` coordinates, at most; infinite for most."""
        return math.inf

    @property
    def num_tuning_curves(self) -> int:
        choices = self._choices()
        return len(choices) * self.tuning_draws if self._is_tuned(choices) else 0

    def tune(
        self,
        target: Target,
        test: int,
        device: torch.device | str = "cpu",
        on_curves: Callable[[int], None] = lambda count: None,
    ) -> dict[str, Any]:
        """Kernel and λ for this cell, by :func:`bfc.baselines.selection.choose`.

        Returns ``ridge`` and every parameter that was ``auto`` by its name; ``reached`` (whether
        any choice reached ``tuning_eps``); ``edges`` (what was chosen at an end of its grid, so
        that a wider grid might do better) and ``at_edge`` (whether there is any); ``trainings``
        (curves computed); ``rank`` (features of the kernel, null if infinite); ``eps``, ``test``,
        ``seeds``; and ``tried``: per choice its ``nstar`` and ``risk`` at ``n_max``, null where it
        is numerically singular. Where nothing is ``auto``, nothing is tried. Raises
        :class:`UserError` if memory does not suffice or every choice is singular.
        """
        choices = self._choices()
        is_tuned = self._is_tuned(choices)
        best, reached, tried = choices[0], None, []
        if is_tuned:
            selection = self._select(target, test, device, choices, on_curves)
            best = choices[selection["choice"]]
            reached, tried = selection["reached"], selection["tried"]
        edges = _edges(best, self._grids())
        rank = self._with_choice(best).rank(target.input_width)
        seeds = self.tuning_seeds if is_tuned else []
        return {
            **best,
            "reached": reached,
            "edges": edges,
            "at_edge": bool(edges),
            "trainings": len(choices) * len(seeds),
            "rank": None if math.isinf(rank) else int(rank),
            "eps": self.tuning_eps,
            "test": test,
            "seeds": seeds,
            "tried": tried,
        }

    def _grids(self) -> dict[str, tuple[float, ...]]:
        """Every parameter that is tuned with the values that are tried; λ last."""
        ridges = (float(self.ridge),) if self.ridge != "auto" else self.ridge_grid
        return {**self.tuned_parameters, "ridge": ridges}

    def _choices(self) -> list[Choice]:
        """Every combination of the grids."""
        grids = self._grids()
        return [
            dict(zip(grids, values, strict=True)) for values in itertools.product(*grids.values())
        ]

    def _is_tuned(self, choices: Sequence[Choice]) -> bool:
        return len(choices) > 1 or self.ridge == "auto"

    def _with_choice(self, choice: Mapping[str, Any]) -> Self:
        """This kernel with the parameters that were chosen."""
        return replace(self, **{name: choice[name] for name in self.tuned_parameters})

    def _select(
        self,
        target: Target,
        test: int,
        device: torch.device | str,
        choices: Sequence[Choice],
        on_curves: Callable[[int], None],
    ) -> dict[str, Any]:
        """Try the choices: the number of the best as ``choice``, ``reached`` and ``tried``."""
        self._require_memory(target, test, device)
        curves = self._tuning_curves(target, test, device, choices, on_curves)
        regular = {
            number: risks for number, risks in curves.items() if len(risks) == self.tuning_draws
        }
        require(
            bool(regular),
            "baseline.ridge_grid",
            list(self.ridge_grid),
            f"larger: K + ridge I is numerically singular at n={self.n_max} for every value",
        )
        selection = choose("choice", regular, self.grid, self.tuning_eps)
        results = {entry.pop("choice"): entry for entry in selection["tried"]}
        singular = {"nstar": None, "risk": None}
        tried = [
            {**choice, **results.get(number, singular)} for number, choice in enumerate(choices)
        ]
        return {**selection, "tried": tried}

    def _tuning_curves(
        self,
        target: Target,
        test: int,
        device: torch.device | str,
        choices: Sequence[Choice],
        on_curves: Callable[[int], None],
    ) -> dict[int, list[list[float]]]:
        """Number of a choice → its curve on every tuning draw where K + λI is not singular.

        Choices of the same kernel share its matrices.
        """
        curves: dict[int, list[list[float]]] = {number: [] for number in range(len(choices))}
        for numbers in _same_kernel(choices):
            kernel = self._with_choice(choices[numbers[0]])
            for seed in self.tuning_seeds:
                matrix, cross, labels = kernel._problem(target, seed, test, device)
                blocks = list(cross)
                for number in numbers:
                    stop_signals.raise_if_requested()
                    ridge = choices[number]["ridge"]
                    with suppress(UserError):
                        risks = learning_curve(matrix, blocks, labels, ridge, self.grid)
                        curves[number].append(risks.tolist())
                    on_curves(1)
        return curves

    def curve(
        self,
        target: Target,
        seed: int,
        test: int,
        tuned: Mapping[str, Any],
        device: torch.device | str = "cpu",
    ) -> LearningCurve:
        """The learning curve of one seed at every n of :attr:`grid`, on ``test`` fresh rows.

        ``tuned`` holds what was chosen. Raises :class:`UserError` if memory does not suffice or λ
        is too small for float64.
        """
        self._require_memory(target, 0, device)
        kernel, cross, labels = self._with_choice(tuned)._problem(target, seed, test, device)
        risks = learning_curve(kernel, cross, labels, tuned["ridge"], self.grid, overwrite=True)
        return LearningCurve(self.grid, risks.tolist())

    def _problem(
        self, target: Target, seed: int, test: int, device: torch.device | str
    ) -> tuple[Sequence[Tensor], Iterator[Tensor], CurveLabels]:
        """Panels of K (n_max, n_max), row blocks of the test kernel, and the labels.

        A row block is computed when it is asked for.
        """
        samples = self.draw_samples(target, seed, test, device)
        kernel, cross = self._matrices(samples.x, samples.x_test, seed)
        chance = samples.draw.chance[0].item()
        return kernel, cross, CurveLabels(samples.y, samples.f_test, chance, target.error)

    def _matrices(
        self, x: Tensor, x_test: Tensor, seed: int
    ) -> tuple[Sequence[Tensor], Iterator[Tensor]]:
        """Panels of K of ``x`` (N, d), and the kernel of ``x_test`` (T, d) against it.

        The latter in row blocks (BLOCK, N). A kernel that is drawn at random is that of ``seed``.
        """
        blocks = (gram_matrix(self.gram, rows, x) for rows in torch.split(x_test, BLOCK))
        return kernel_panels(self.gram, x), blocks

    def _extra_bytes(self, target: Target) -> int:
        """Bytes that are held besides the kernel matrices."""
        return 0

    def _require_memory(self, target: Target, stored_test: int, device: torch.device | str) -> None:
        needed = memory_bytes(self.n_max, stored_test) + self._extra_bytes(target)
        free = available_memory(device)
        rows = f" and {stored_test} test rows" if stored_test else ""
        require(
            needed <= free,
            "baseline.n_max",
            self.n_max,
            f"smaller: with it{rows} kernel ridge needs {needed / 2**30:.1f} GiB and "
            f"{free / 2**30:.1f} GiB are free",
        )


def _edges(choice: Choice, grids: Mapping[str, Sequence[float]]) -> list[str]:
    """The parameters that were chosen at an end of their grid."""
    edges = []
    for name, grid in grids.items():
        if len(grid) > 1 and choice[name] in (min(grid), max(grid)):
            edges.append(name)
    return edges


def _same_kernel(choices: Sequence[Choice]) -> list[list[int]]:
    """The numbers of the choices, those that differ in λ alone together."""
    groups: dict[tuple[tuple[str, float], ...], list[int]] = {}
    for number, choice in enumerate(choices):
        kernel = tuple((name, value) for name, value in choice.items() if name != "ridge")
        groups.setdefault(kernel, []).append(number)
    return list(groups.values())
