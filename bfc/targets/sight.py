"""Single-index Gaussian hierarchical targets (SIGHT), learned one level after another.

Dandi, Pesce, Zdeborova & Krzakala (arXiv:2502.13961; code IdePHICS/ComputationalDepth): the label
is a function of one number h, itself a sum of cubic polynomials of d^ε directions. The directions
take about d^(1+ε) samples, h takes d^(3ε), and the read-out none to speak of, where a kernel that
sees the input alone needs d^3 for a part that h gives for free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from bfc.errors import require
from bfc.targets.lattice_law import LatticeLaw
from bfc.targets.planted_frame import PlantedFrameDraw, draw_frame
from bfc.types import Target, Theory

PAPER = "Dandi, Pesce, Zdeborova & Krzakala, arXiv:2502.13961"
INNER_DEGREE = 3
INNER_VARIANCE = 2 / 3
"""Variance of :func:`inner` of a standard normal number."""
STEEPNESS = 3.0
"""g(h) = tanh(3h)."""


def inner(z: Any) -> Any:
    """P(z) = He_2(z)/2 + He_3(z)/6, of a tensor or an array."""
    square = z * z
    return (square - 1) / 2 + z * (square - 3) / 6


@dataclass(frozen=True)
class Sight(Target):
    """f*(x) = r^(−1/2) Σ_b g(h_b) − mean, g = tanh(3 ·), x ~ N(0, I_d), r = ``branches``.

    A branch reads D_1 orthonormal directions z = Wx. With depth 2, h = D_1^(−1/2) Σ_i a_i P(z_i),
    P = He_2/2 + He_3/6. With depth L, level after level takes the numbers below in disjoint blocks:
    each becomes B^(−1/2) Σ_i a_i P(·) over its block of B, times √(3/2) (unit variance at the first
    level) except for the last one, h. D_l is d^(eps_l), rounded down to a multiple of D_{l+1}.

    The mean, which is subtracted, and the variance come from the exact law of h
    (:class:`bfc.targets.lattice_law.LatticeLaw`). Raises :class:`bfc.errors.UserError` on bad
    values.
    """

    identity_name: ClassVar[str] = "bfc.targets.sight.Sight"
    version: ClassVar[int] = 1

    d: int
    """Input dimension."""
    eps: float | tuple[float, ...] = 0.5
    """Powers of d in the widths D_1 > D_2 > ..., one per level below h; a number with depth 2."""
    branches: int = 1
    """r, each with directions of its own."""
    depth: int = 2
    """L, the number of maps P and g in a row."""
    signs: Literal["balanced", "plus"] = "balanced"
    """Signs a_i in every block: as many plus as minus (one plus more if odd), or all plus."""

    def __post_init__(self) -> None:
        require(1 <= self.d <= 1 << 20, "target.d", self.d, "an integer from 1 to 1048576")
        require(2 <= self.depth <= 5, "target.depth", self.depth, "an integer from 2 to 5")
        require(self.branches >= 1, "target.branches", self.branches, "an integer >= 1")
        powers = self.powers
        are_decreasing = all(a > b for a, b in pairwise(powers))
        are_in_range = all(0 < power <= 1 for power in powers)
        count = f"{self.depth - 1} decreasing numbers in (0, 1], one fewer than target.depth"
        allowed = "a number in (0, 1]" if self.depth == 2 else f"a list of {count}"
        require(
            len(powers) == self.depth - 1 and are_decreasing and are_in_range,
            "target.eps",
            self.eps,
            allowed,
        )
        used = self.branches * self.widths[0]
        require(
            used <= self.d,
            "target.branches",
            self.branches,
            f"at most {self.d // self.widths[0]}: each reads {self.widths[0]} of {self.d} "
            "orthonormal directions",
        )

    @property
    def powers(self) -> tuple[float, ...]:
        """eps_1 > eps_2 > ..."""
        return self.eps if isinstance(self.eps, tuple) else (self.eps,)

    @property
    def widths(self) -> tuple[int, ...]:
        """D_1 ... D_{L−1} of a branch, and 1, the number of its h."""
        widths = [1]
        for power in reversed(self.powers):
            block = _floor(self.d**power) // widths[0]
            widths.insert(0, max(1, block) * widths[0])
        return tuple(widths)

    @property
    def block_sizes(self) -> tuple[int, ...]:
        """Numbers that one number of the next level reads, level by level."""
        return tuple(a // b for a, b in pairwise(self.widths))

    def plus_signs(self, size: int) -> int:
        """Number of plus signs in a block of this size."""
        return size if self.signs == "plus" else (size + 1) // 2

    @property
    def levels(self) -> tuple[int, ...]:
        """2: z = Wx; then one per level up to h."""
        return tuple(range(2, self.depth + 2))

    @property
    def degree(self) -> int:
        return 0

    @property
    def moments(self) -> tuple[float, float]:
        """Mean and variance of g(h) of one branch."""
        blocks = tuple((self.plus_signs(size), size) for size in self.block_sizes)
        return _moments(blocks)

    def facts(self) -> Mapping[str, Any]:
        """Widths and moments, and the risks that predictors of low degree cannot beat.

        The floors are those of wide levels (D → ∞, where h is Gaussian) with depth 2: of the best
        function of degree 2 of x, and of the best of degree 3 (two layers once W is found).
        """
        facts: dict[str, Any] = {
            "widths": list(self.widths),
            "branch_mean": self.moments[0],
            "branch_variance": self.moments[1],
        }
        if self.depth == 2:
            linear = linear_share()
            quadratic = (1 / 2) / INNER_VARIANCE
            facts["floor_degree_2"] = 1 - linear * quadratic
            facts["floor_degree_3"] = 1 - linear
        return facts

    def theory(self) -> Mapping[str, Theory]:
        theory = {
            "kernel, degree 2": Theory(2.0, "rate", "degree-2 part of f*", status="theorem"),
            "kernel, degree 3": Theory(3.0, "rate", "degree-3 part of f*", status="theorem"),
        }
        first = 1 + self.powers[0]
        is_proved = self.depth == 2 and self.branches == 1
        theory["level 2 (directions)"] = Theory(
            first,
            "rate",
            f"{PAPER}: d^(1+eps)",
            status="theorem" if self.depth == 2 else "heuristic",
        )
        for level, power in enumerate(self.powers, start=3):
            next_power = self.powers[level - 2] if level - 2 < len(self.powers) else 0.0
            exponent = INNER_DEGREE * power + next_power
            theory[f"level {level}"] = Theory(
                max(first, exponent),
                "rate",
                f"{PAPER}: d^(k eps_l + eps_(l+1)), k = 3, and never before the directions",
                status="theorem" if is_proved else "heuristic",
            )
        return theory

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> SightDraw:
        frame = draw_frame(seeds, self.d, self.branches * self.widths[0])
        return SightDraw(self, tuple(seeds), frame.to(device, dtype).contiguous())


def _floor(value: float) -> int:
    """The largest integer up to ``value``, forgiving the rounding of powers: 64^0.5 is 8."""
    return math.floor(value * (1 + 1e-12))


@lru_cache(maxsize=64)
def _moments(blocks: tuple[tuple[int, int], ...]) -> tuple[float, float]:
    """Mean and variance of g(h) for blocks of (plus signs, size), level by level."""
    law = LatticeLaw.normal()
    for i, (plus, size) in enumerate(blocks):
        factor = 1.0 if i + 1 == len(blocks) else INNER_VARIANCE**-0.5
        law = law.sum_of_images(inner, plus, size - plus).scale(factor / math.sqrt(size))
    mean = law.mean(lambda h: np.tanh(STEEPNESS * h))
    return mean, law.mean(lambda h: (np.tanh(STEEPNESS * h) - mean) ** 2)


@lru_cache(maxsize=1)
def linear_share() -> float:
    """Share of the variance of g(h), h ~ N(0, 2/3), that is linear in h."""
    law = LatticeLaw.normal().scale(INNER_VARIANCE**0.5)
    covariance = law.mean(lambda h: np.tanh(STEEPNESS * h) * h)
    variance = law.mean(lambda h: np.tanh(STEEPNESS * h) ** 2)
    return covariance**2 / (INNER_VARIANCE * variance)


@dataclass(frozen=True)
class SightDraw(PlantedFrameDraw):
    """R realisations of a :class:`Sight`, rows of W those of one branch after another."""

    target: Sight

    @property
    def variance(self) -> Tensor:
        return torch.full((len(self.seeds),), self.target.moments[1], dtype=torch.float64)

    def features(self, x: Tensor) -> dict[int, Tensor]:
        """2: Wx (R, B, r D_1); then every level up to h (R, B, r)."""
        value = torch.bmm(x, self.frame.mT)
        levels = {2: value}
        sizes = self.target.block_sizes
        for level, size in enumerate(sizes, start=3):
            value = self._next_level(value, size)
            if level - 2 < len(sizes):
                value = value * INNER_VARIANCE**-0.5
            levels[level] = value
        return levels

    def _next_level(self, value: Tensor, size: int) -> Tensor:
        """B^(−1/2) Σ a_i P(·) over blocks of this size, (R, B, k) → (R, B, k / size)."""
        signs = torch.ones(size, dtype=value.dtype, device=value.device)
        signs[self.target.plus_signs(size) :] = -1
        terms: Tensor = inner(value).view(*value.shape[:2], -1, size) * signs
        return terms.sum(-1) / math.sqrt(size)

    def labels(self, x: Tensor) -> Tensor:
        h = self.features(x)[self.target.levels[-1]]
        mean = self.target.moments[0]
        total: Tensor = (torch.tanh(STEEPNESS * h) - mean).sum(-1)
        return total / math.sqrt(self.target.branches)
