"""Agnostic learning: labels with a bounded part that nothing in the concept class can explain.

A method is judged against the sum of the target and that part. The part is a parity of signs in one
coordinate more than the target's degree, so that it is orthogonal to every polynomial of that
degree and the best risk in the class, OPT, is known exactly: Allen-Zhu & Li (arXiv:2001.04413; form
recalled) prove a risk of (1 + γ) OPT + ε² there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from bfc import random
from bfc.errors import UserError, require
from bfc.targets.capabilities import input_law
from bfc.targets.wrapped import Wrapped, WrappedDraw
from bfc.types import Draw, Target, TargetWrapper

MEDIANS: dict[object, float] = {
    "gaussian": 0.0,
    "uniform": 0.0,
    "sign": 0.0,
    "laplace": 0.0,
    "exponential": math.log(2) - 1,
}
"""Laws of independent coordinates → the median of one."""


@dataclass(frozen=True)
class Agnostic(TargetWrapper):
    """y = f*(x) + size · sd(f*) · Π_{i∈S} sign(x_i − median), with the squared loss.

    S is a random set of degree + 1 coordinates per seed. For independent coordinates the product
    has mean zero given any ``degree`` of them, so it is orthogonal to every polynomial G of degree
    ≤ that of f*: E(y − G)² = size² Var f* + E(f* − G)² and OPT = size² Var f*.

    Raises :class:`bfc.errors.UserError` on bad values and on targets that are no polynomial of
    independent coordinates, or of too few.
    """

    identity_name: ClassVar[str] = "bfc.tasks.agnostic.Agnostic"
    version: ClassVar[int] = 1

    size: float = 0.3
    """Size of the bounded function in units of sd(f*)."""
    judge: Literal["total", "excess"] = "total"
    """What the risk is.

    ``total``: E(y − g)² / Var y, at least :attr:`opt` in the class. ``excess``: E(f* − g)² / Var
    f*, which for polynomials g of degree up to that of f* is the risk above OPT."""

    def __post_init__(self) -> None:
        require(0 < self.size < float("inf"), "task.size", self.size, "a number > 0")

    @property
    def opt(self) -> float:
        """OPT relative to Var y: the smallest relative risk in the concept class."""
        return self.size**2 / (1 + self.size**2) if self.judge == "total" else 0.0

    def bound(self, gamma: float, eps: float) -> float:
        """The line (1 + γ) OPT + ε² in relative risk."""
        return (1 + gamma) * self.opt + eps**2

    def wrap(self, target: Target) -> Target:
        median = MEDIANS.get(input_law(target))
        if median is None or target.degree < 1:
            raise UserError(
                "task=agnostic: needs a polynomial of independent coordinates, not "
                f"{type(target).__name__}; allowed: target=quadratic_densenet with target.law "
                f"{', '.join(map(str, MEDIANS))}"
            )
        require(
            target.d > target.degree,
            "target.d",
            target.d,
            f"at least degree + 1 = {target.degree + 1} with task=agnostic",
        )
        return _AgnosticTarget(target, self, median).as_target()


@dataclass(frozen=True)
class _AgnosticTarget(Wrapped[Agnostic]):
    median: float
    """Of every coordinate."""

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Draw:
        d = self.target.d
        keys = random.keys(seeds, f"task/agnostic/{d}").unsqueeze(1)
        order = random.uniform(keys, torch.arange(d)).argsort(1)
        return _AgnosticDraw(
            self.target.draw(seeds, dtype, device),
            self.wrapper,
            order[:, : self.target.degree + 1].to(device),
            self.median,
        ).as_draw()


@dataclass(frozen=True)
class _AgnosticDraw(WrappedDraw[Agnostic]):
    coordinates: Tensor
    """S, (R, degree + 1), int64."""
    median: float
    """Of every coordinate."""

    def unexplained(self, x: Tensor) -> Tensor:
        """The bounded function, ± size · sd(f*), (R, B) for inputs (R, B, d)."""
        index = self.coordinates.unsqueeze(1).expand(-1, x.shape[1], -1)
        sign = torch.where(x.gather(2, index) < self.median, -1.0, 1.0).prod(2).to(x.dtype)
        sd = self.inner.variance.to(x.device, x.dtype).sqrt().unsqueeze(1)
        return self.wrapper.size * sd * sign

    def observe(self, role: str, rows: Tensor, x: Tensor) -> Tensor:
        y = self.inner.labels(x)
        if role == "test" and self.wrapper.judge == "excess":
            return y
        return y + self.unexplained(x)

    @property
    def chance(self) -> Tensor:
        if self.wrapper.judge == "excess":
            return self.inner.variance
        return self.inner.variance * (1 + self.wrapper.size**2)

    def select(self, index: Sequence[int]) -> Self:
        return replace(
            self, inner=self.inner.select(index), coordinates=self.coordinates[list(index)]
        )
