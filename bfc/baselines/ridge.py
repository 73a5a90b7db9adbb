"""Kernel ridge regression with any positive definite kernel, tuned and measured exactly."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from bfc import stop_signals
from bfc.baselines.choices import Choice, TunedRidge, edges_of
from bfc.baselines.learning_curve import BLOCK, CurveLabels, learning_curve
from bfc.baselines.memory import available_memory, memory_bytes
from bfc.baselines.panels import gram_matrix, kernel_panels
from bfc.baselines.selection import choose
from bfc.errors import UserError, require
from bfc.types import LearningCurve, Target


@dataclass(frozen=True, kw_only=True)
class KernelRidge(TunedRidge):
    """Kernel ridge regression on a kernel that a subclass gives.

    A subclass is a frozen dataclass with :meth:`gram` (of typical K(x, x) = 1, so that λ means the
    same for every kernel) and :attr:`label`.

    λ and parameters of the kernel are tuned as :class:`bfc.baselines.choices.TunedRidge` says.
    Raises :class:`UserError` on a value out of range. Classes are fitted as one-hot vectors, one
    regression per class with the same kernel and λ.
    """

    supports_multi_output: ClassVar[bool] = True
    is_rotation_invariant: ClassVar[bool] = True
    """Whether K(x, z) depends on |x|, |z| and x·z alone."""

    @abstractmethod
    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """Kernel values of ``x`` (N, d) and ``z`` (M, d), float64 → a new tensor (N, M).

        An entry depends on its two rows only.
        """

    def rank(self, width: int) -> float:
        """Number of features of the kernel on ``width`` coordinates, at most; infinite for most."""
        return math.inf

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
        edges = edges_of(best, self._grids())
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


def _same_kernel(choices: Sequence[Choice]) -> list[list[int]]:
    """The numbers of the choices, those that differ in λ alone together."""
    groups: dict[tuple[tuple[str, float], ...], list[int]] = {}
    for number, choice in enumerate(choices):
        kernel = tuple((name, value) for name, value in choice.items() if name != "ridge")
        groups.setdefault(kernel, []).append(number)
    return list(groups.values())
