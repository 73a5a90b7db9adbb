"""Exact learning curves of kernel ridge regression, the reference against which a hierarchical
learner is judged. For a fixed kernel and ridge, one Cholesky factorisation holds the predictor of
every nested training set at once: with K + λI = LLᵀ, z = L⁻¹y and W = L⁻¹k(X, x), the prediction at
x from the first n points is Σ_{i≤n} W_i(x) z_i, because the leading n × n block of L is the factor
of the leading block of K + λI. So no search over n is ever run here. The file also holds
:class:`KernelRidge`, the base that turns any positive definite kernel into a ``Baseline``."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import psutil
import torch
from torch import Tensor

from bfc import stop_signals
from bfc.baselines.panels import cholesky, gram_matrix, held, kernel_panels
from bfc.errors import UserError, require
from bfc.types import LearningCurve, Target, sample

BLOCK = 1024
"""Test rows that are computed and solved for at a time."""
SMALLEST_N = 8
"""First n of a baseline's grid."""


def geometric_grid(n_max: int, ratio: float, first: int = SMALLEST_N) -> list[int]:
    """Integers from ``first`` to exactly ``n_max``, strictly increasing, each about ``ratio`` times
    the one before."""
    steps = math.ceil(math.log(n_max / first) / math.log(ratio))
    inner = {round(first * ratio**k) for k in range(steps)}
    return [*sorted(n for n in inner if n < n_max), n_max]


def crossing(n: Sequence[int], risk: Sequence[float], eps: float) -> float | None:
    """n* of one curve: where it first comes down to ``eps``, interpolated linearly in (log n, log
    risk); n[0] if it starts there, None if it never gets there."""
    hit = next((i for i, value in enumerate(risk) if value <= eps), None)
    if not hit:
        return None if hit is None else float(n[0])
    above, below = risk[hit - 1], max(risk[hit], 1e-300)
    share = math.log(above / eps) / math.log(above / below)
    return n[hit - 1] * (n[hit] / n[hit - 1]) ** share


def memory_bytes(n: int, kept_test: int = 0) -> int:
    """Peak memory of one curve in bytes: 8 (H + 6 BLOCK n + T n). H numbers in the panels of K
    (:mod:`bfc.baselines.panels`; n² up to 4096 points, towards n²/2 beyond), whose place the factor
    takes; a block of test rows and what a kernel and the solve need beside it. While λ is tuned K
    stays beside its factor, 2 H, and so do T = ``kept_test`` test rows of the kernel."""
    return 8 * (held(n) * (2 if kept_test else 1) + n * (6 * BLOCK + kept_test))


def available_memory(device: torch.device | str = "cpu") -> int:
    """Bytes that may still be allocated on ``device``: on a CPU what the system reports, or less
    where a control group (a batch job's limit) allows less."""
    if torch.device(device).type == "cuda":
        reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reusable
    limits = [psutil.virtual_memory().available]
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controller, group = line.split(":", 2)
            if controller in ("", "memory"):
                file = "memory.limit_in_bytes" if controller else "memory.max"
                for folder in (Path(group), *Path(group).parents):
                    with suppress(OSError, ValueError):
                        limits.append(
                            int(Path(f"/sys/fs/cgroup/{controller}/{folder}/{file}").read_text())
                        )
    return min(limits)


def squared(predicted: Tensor, truth: Tensor) -> Tensor:
    """(predicted − truth)²"""
    return (predicted - truth).square_()


def learning_curve(
    kernel: Tensor | Sequence[Tensor],
    cross: Tensor | Iterable[Tensor],
    y: Tensor,
    f_test: Tensor,
    chance: float,
    ridge: float,
    n: Sequence[int] | None = None,
    error: Callable[[Tensor, Tensor], Tensor] = squared,
    overwrite: bool = False,
) -> Tensor:
    """Relative risk of kernel ridge regression on the first n training points, for every n asked
    for.

    ``kernel`` (N, N) over the training inputs, whole or as its panels
    (:mod:`bfc.baselines.panels`), which is left untouched unless told to ``overwrite`` it;
    ``cross`` (T, N) from test to training inputs, whole or as an iterable of consecutive row blocks
    (then only one block is held); ``y`` (N,); ``f_test`` (T,) the noiseless target; ``chance`` the
    error of the best constant (the variance of f*); ``n`` values in 1 … N, or None for every n from
    1 to N; ``error`` the error of predictions (T, len(n)) against f* (T, 1). The estimator is k(x,
    X_n)(K_n + λI)⁻¹y_n. Returns the mean over test rows of the error, (f − f*)² unless told
    otherwise, divided by ``chance``, shape (len(n),). Cost: N³/3 + T N² floating-point operations.
    Raises :class:`UserError` where K + λI is numerically singular (see
    :func:`bfc.baselines.panels.cholesky`) and ValueError where shapes do not fit. Source: leading
    blocks of the Cholesky factor, Golub & Van Loan, Matrix Computations (4th ed.), §4.2.
    """
    if n is not None and not (len(n) and 1 <= min(n) and max(n) <= len(y)):
        raise ValueError(f"n must hold values in 1 ... {len(y)}")
    factor = cholesky(kernel, ridge, overwrite)
    z = factor.solve(y.unsqueeze(1)).squeeze(1)
    columns = None if n is None else torch.tensor(n, device=y.device) - 1
    total = y.new_zeros(len(y) if n is None else len(n))
    done = 0
    for block in cross.split(BLOCK) if isinstance(cross, Tensor) else cross:
        predicted = factor.solve(block.mT).mT.mul_(z).cumsum_(1)
        if columns is not None:
            predicted = predicted.index_select(1, columns)
        total += error(predicted, f_test[done : done + len(block), None]).sum(0)
        done += len(block)
    if done != len(f_test):
        raise ValueError(f"cross has {done} rows but f_test {len(f_test)}")
    return total / (done * chance)


@dataclass(frozen=True, kw_only=True)
class KernelRidge(ABC):
    """Kernel ridge regression, as a ``Baseline``. A subclass is a frozen dataclass that gives
    :meth:`gram` (with typical K(x, x) = 1, so that λ means the same for every kernel) and
    :attr:`label`.

    ``ridge``: λ, or ``auto`` to choose it from ``ridge_grid`` on ``tuning_draws`` draws of their
    own, so that n* at risk ``tuning_eps`` is smallest. A parameter of the kernel may be ``auto`` as
    well where the subclass has a field ``<parameter>_grid``: then every combination of the grids is
    tried on the same draws. The budget is the product of the grids' lengths times ``tuning_draws``
    curves, whatever d. The curve is read at n = 8 … ``n_max``, each about ``n_ratio`` times the
    last. Raises :class:`UserError` on a value out of range.
    """

    ridge: float | Literal["auto"] = "auto"
    ridge_grid: tuple[float, ...] = (1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1e-1, 1.0)
    n_max: int = 4096
    n_ratio: float = 1.1
    tuning_draws: int = 2
    tuning_eps: float = 0.01

    version: ClassVar[int] = 1
    supports_multi_output: ClassVar[bool] = False

    def __post_init__(self) -> None:
        given = is_number(self.ridge) and self.ridge >= 0
        require(
            self.ridge == "auto" or given, "baseline.ridge", self.ridge, "auto or a number >= 0"
        )
        grid = self.ridge_grid
        listed = isinstance(grid, Sequence) and not isinstance(grid, str) and len(grid) > 0
        require(
            listed and all(is_number(value) and value > 0 for value in grid),
            "baseline.ridge_grid",
            grid,
            "a list of numbers > 0",
        )
        object.__setattr__(self, "ridge_grid", tuple(float(value) for value in grid))
        require(
            is_integer(self.n_max) and self.n_max > SMALLEST_N,
            "baseline.n_max",
            self.n_max,
            f"an integer > {SMALLEST_N}",
        )
        require(
            is_number(self.n_ratio) and self.n_ratio >= 1.001,
            "baseline.n_ratio",
            self.n_ratio,
            "a number >= 1.001",
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
        """Short human name with what distinguishes this kernel."""

    @abstractmethod
    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        """Kernel values of ``x`` (N, d) and ``z`` (M, d), float64 → a new tensor (N, M); an entry
        depends on its two rows only."""

    @property
    def grid(self) -> list[int]:
        """The n at which the curve is read."""
        return geometric_grid(self.n_max, self.n_ratio)

    def check(self, target: Target) -> None:  # noqa: B027
        """A kernel accepts every target."""

    @property
    def tuned_parameters(self) -> dict[str, tuple[float, ...]]:
        """The parameters of the kernel that are ``auto``, with the values that are tried."""
        names = [
            f.name for f in fields(self) if f.name != "ridge" and getattr(self, f.name) == "auto"
        ]
        return {name: getattr(self, f"{name}_grid") for name in names}

    def rank(self, width: int) -> float:
        """Number of features of the kernel on ``width`` coordinates, at most; infinite for most."""
        return math.inf

    def tune(self, target: Target, test: int, device: torch.device | str = "cpu") -> dict[str, Any]:
        """Kernel and λ for this cell: those whose median risk over the tuning draws (seeds −1, −2,
        …, which no measurement uses) first reaches ``tuning_eps`` at the smallest n; if none does,
        those with the lowest median risk at ``n_max``.

        Returns ``ridge`` and every parameter that was ``auto`` by its name; ``reached`` (whether
        any choice reached ``tuning_eps``); ``edges`` (what was chosen at an end of its grid, so
        that a wider grid might do better) and ``at_edge`` (whether there is any); ``trainings``
        (curves computed); ``rank`` (features of the kernel, null if infinite); ``eps``, ``test``,
        ``seeds``; and ``tried``: per choice its ``nstar`` and ``risk`` at ``n_max``, null where it
        is numerically singular. Where nothing is ``auto``, nothing is tried. Raises
        :class:`UserError` if memory does not suffice or every choice is singular.
        """
        grids = {
            **self.tuned_parameters,
            "ridge": self.ridge_grid if self.ridge == "auto" else (float(self.ridge),),
        }
        choices = [
            dict(zip(grids, values, strict=True)) for values in itertools.product(*grids.values())
        ]
        found = (
            self._tried(target, test, device, choices)
            if len(choices) > 1 or self.ridge == "auto"
            else None
        )
        best = choices[0] if found is None else choices[found["choice"]]
        edges = [
            name
            for name, grid in grids.items()
            if len(grid) > 1 and best[name] in (min(grid), max(grid))
        ]
        rank = self._chosen(best).rank(target.input_width)
        seeds = [] if found is None else self._tuning_seeds
        return {
            **best,
            "reached": None if found is None else found["reached"],
            "edges": edges,
            "at_edge": bool(edges),
            "trainings": len(choices) * len(seeds),
            "rank": None if math.isinf(rank) else int(rank),
            "eps": self.tuning_eps,
            "test": test,
            "seeds": seeds,
            "tried": [] if found is None else found["tried"],
        }

    def _chosen(self, tuned: Mapping[str, Any]) -> Self:
        """This kernel with the parameters that were chosen."""
        return replace(self, **{name: tuned[name] for name in self.tuned_parameters})

    @property
    def _tuning_seeds(self) -> list[int]:
        return [-1 - i for i in range(self.tuning_draws)]

    def _tried(
        self,
        target: Target,
        test: int,
        device: torch.device | str,
        choices: Sequence[Mapping[str, float]],
    ) -> dict[str, Any]:
        """What :func:`choose` says of the ``choices``, whose number is ``choice``. Those of equal
        kernel share its matrices."""
        self._require_memory(target, test, device)
        curves: dict[int, list[list[float]]] = {number: [] for number in range(len(choices))}
        settings = [
            {name: value for name, value in choice.items() if name != "ridge"} for choice in choices
        ]
        for setting in [own for number, own in enumerate(settings) if own not in settings[:number]]:
            kernel = self._chosen(setting)
            for seed in self._tuning_seeds:
                matrix, cross, rest = kernel._problem(target, seed, test, device)
                blocks = list(cross)
                for number in (i for i, own in enumerate(settings) if own == setting):
                    stop_signals.raise_if_requested()
                    with suppress(UserError):
                        ridge = choices[number]["ridge"]
                        curves[number].append(
                            learning_curve(
                                matrix, blocks, *rest, ridge, self.grid, target.error
                            ).tolist()
                        )
        whole = {
            number: found for number, found in curves.items() if len(found) == self.tuning_draws
        }
        require(
            bool(whole),
            "baseline.ridge_grid",
            list(self.ridge_grid),
            f"larger: K + ridge I is numerically singular at n={self.n_max} for every value",
        )
        chosen = choose("choice", whole, self.grid, self.tuning_eps)
        known = {entry.pop("choice"): entry for entry in chosen["tried"]}
        nothing = {"nstar": None, "risk": None}
        return {
            **chosen,
            "tried": [
                {**choice, **known.get(number, nothing)} for number, choice in enumerate(choices)
            ],
        }

    def curve(
        self,
        target: Target,
        seed: int,
        test: int,
        tuned: Mapping[str, Any],
        device: torch.device | str = "cpu",
    ) -> LearningCurve:
        """The learning curve of one seed with what ``tuned`` says was chosen, at every n of
        :attr:`grid`, on ``test`` fresh rows. Raises :class:`UserError` if memory does not suffice
        or λ is too small for float64."""
        self._require_memory(target, 0, device)
        kernel, cross, rest = self._chosen(tuned)._problem(target, seed, test, device)
        return LearningCurve(
            self.grid,
            learning_curve(
                kernel, cross, *rest, tuned["ridge"], self.grid, target.error, overwrite=True
            ).tolist(),
        )

    def _problem(
        self, target: Target, seed: int, test: int, device: torch.device | str
    ) -> tuple[Sequence[Tensor], Iterator[Tensor], tuple[Tensor, Tensor, float]]:
        """The panels of K (n_max, n_max), the row blocks of the test kernel as they are asked for,
        and (y, f_test, variance)."""
        draw = target.draw([seed], dtype=torch.float64, device=device)
        (x, y), (x_test, f_test) = (
            sample(draw, role, torch.arange(rows, device=device).unsqueeze(0))
            for role, rows in (("train", self.n_max), ("test", test))
        )
        kernel, cross = self._matrices(x[0], x_test[0], seed)
        return kernel, cross, (y[0], f_test[0], draw.chance[0].item())

    def _matrices(
        self, x: Tensor, x_test: Tensor, seed: int
    ) -> tuple[Sequence[Tensor], Iterator[Tensor]]:
        """The panels of K of ``x`` (N, d) and the row blocks (BLOCK, N) of the kernel of ``x_test``
        (T, d) against it; a kernel that is drawn at random is that of ``seed``."""
        return kernel_panels(self.gram, x), (
            gram_matrix(self.gram, rows, x) for rows in x_test.split(BLOCK)
        )

    def _beside(self, target: Target) -> int:
        """Bytes that are held besides the kernel matrices."""
        return 0

    def _require_memory(self, target: Target, kept_test: int, device: torch.device | str) -> None:
        needed, free = (
            memory_bytes(self.n_max, kept_test) + self._beside(target),
            available_memory(device),
        )
        rows = f" and {kept_test} test rows" if kept_test else ""
        require(
            needed <= free,
            "baseline.n_max",
            self.n_max,
            f"smaller: with it{rows} kernel ridge needs {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free",
        )


def choose(
    name: str, curves: Mapping[float, Sequence[Sequence[float]]], grid: Sequence[int], eps: float
) -> dict[str, Any]:
    """The hyper-parameter ``name`` whose median risk over tuning draws first reaches ``eps`` at the
    smallest n of ``grid``; if none does, the one with the lowest median risk at the largest n.
    ``curves``: value → its risks on ``grid``, draw by draw. Returns the value under ``name``,
    ``reached``, and ``tried``: per value ``nstar`` and ``risk`` at the largest n."""
    medians = {value: np.median(found, axis=0).tolist() for value, found in curves.items()}
    tried = [
        {name: value, "nstar": crossing(grid, median, eps), "risk": median[-1]}
        for value, median in medians.items()
    ]
    best = min(tried, key=lambda entry: (entry["nstar"] or math.inf, entry["risk"]))
    return {name: best[name], "reached": best["nstar"] is not None, "tried": tried}


def check_parameter(
    baseline: KernelRidge, name: str, fits: Callable[[object], bool], words: str
) -> None:
    """Refuse a parameter of a kernel, or a value of its grid, that does not fit: ``words`` say what
    does."""
    value, grid = getattr(baseline, name), getattr(baseline, f"{name}_grid")
    require(value == "auto" or fits(value), f"baseline.{name}", value, f"auto or {words}")
    listed = (
        isinstance(grid, Sequence) and not isinstance(grid, str) and len(set(grid)) == len(grid) > 0
    )
    require(
        listed and all(map(fits, grid)),
        f"baseline.{name}_grid",
        grid,
        f"a list without repetition, of each: {words}",
    )
    object.__setattr__(baseline, f"{name}_grid", tuple(grid))


def shown(value: float | str) -> str:
    """A parameter in a label: a tuned one has another value in every cell, so the label does not
    name it."""
    return "tuned" if value == "auto" else f"{value:g}"


def is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
