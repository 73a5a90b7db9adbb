"""Sums of monomials whose leap, not whose degree, says how hard they are for networks.

Abbe, Boix-Adsera & Misiakiewicz (arXiv:2202.08658, 2302.11055): gradient descent learns the
monomials one after another, each by the coordinates that it adds to those already learned. Families
of equal degree and different leaps separate learners of features from kernels, which see the degree
alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets.capabilities import HarmonicTarget, InputLawTarget
from bfc.targets.harmonics import HarmonicPart, dimension
from bfc.targets.kernel_rate import kernel_rate
from bfc.targets.planted_frame import PlantedFrameDraw, draw_frame
from bfc.types import Theory

Sets = tuple[tuple[int, ...], ...]
FAMILIES: Mapping[str, Sets] = {
    "stair4": ((1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "leap2": ((1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "leap3": ((1, 2, 3), (1, 2, 3, 4)),
    "mono4": ((1, 2, 3, 4),),
}
"""Family → its sets S_j; all are of degree 4."""
SOURCE = "Abbe, Boix-Adsera & Misiakiewicz, arXiv:2302.11055"


@dataclass(frozen=True)
class Leap(InputLawTarget, HarmonicTarget):
    """f*(x) = |S|^(−1/2) Σ_j Π_{i ∈ S_j} u_i, distinct sets S_j: mean 0 and variance 1, exactly.

    Under the law ``cube`` x is uniform on {−1, 1}^d and u are random coordinates of x; under
    ``gaussian`` x is standard normal and u = Q'x for a random orthonormal frame Q.

    Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.targets.leap.Leap"
    version: ClassVar[int] = 1

    d: int
    """Input dimension."""
    family: Literal["stair4", "leap2", "leap3", "mono4"] | None = "stair4"
    """A name for the sets; null: those of ``sets``."""
    sets: Sets | None = None
    """The sets S_j, coordinates numbered from 1 without gaps; null: those of ``family``."""
    law: Literal["cube", "gaussian"] = "cube"

    def __post_init__(self) -> None:
        require(1 <= self.d <= 1 << 20, "target.d", self.d, "an integer from 1 to 1048576")
        require(
            (self.family is None) != (self.sets is None),
            "target.sets",
            self.sets,
            "given with target.family=null, and null otherwise",
        )
        if self.sets is not None:
            self._check_sets(self.sets)
        require(
            self.num_coordinates <= self.d,
            "target.d",
            self.d,
            f"at least {self.num_coordinates}, the number of coordinates in the sets",
        )

    @staticmethod
    def _check_sets(sets: Sets) -> None:
        are_distinct = len({frozenset(s) for s in sets}) == len(sets) > 0
        are_sets = all(len(set(s)) == len(s) > 0 for s in sets)
        require(
            are_distinct and are_sets,
            "target.sets",
            sets,
            "a list of distinct sets, each a list of distinct integers",
        )
        numbers = set(chain(*sets))
        require(
            numbers == set(range(1, len(numbers) + 1)),
            "target.sets",
            sets,
            "of coordinates numbered from 1 without gaps",
        )

    @property
    def ordered_sets(self) -> Sets:
        """The sets in an order of smallest leap, see :func:`order_by_leap`."""
        return order_by_leap(FAMILIES[self.family] if self.family else self.sets or ())

    @property
    def num_coordinates(self) -> int:
        """Number of coordinates that f* reads."""
        return max(chain(*self.ordered_sets))

    @property
    def leap(self) -> int:
        """The smallest number L such that some order adds at most L new coordinates at a time."""
        return max(count_new_coordinates(self.ordered_sets))

    @property
    def levels(self) -> tuple[int, ...]:
        """One per coordinate that f* reads, so that families of equal degree have equal depth."""
        return tuple(range(2, self.num_coordinates + 2))

    @property
    def ordered_coordinates(self) -> tuple[int, ...]:
        """The coordinates in the order in which the sets bring them in."""
        return tuple(dict.fromkeys(chain(*self.ordered_sets)))

    @property
    def degree(self) -> int:
        return max(map(len, self.ordered_sets))

    def harmonics(self) -> tuple[HarmonicPart, ...]:
        """The exact share of Var f* in every degree, with the dimension of that degree."""
        counts = Counter(map(len, self.ordered_sets))
        parts = []
        for degree, count in sorted(counts.items()):
            size = math.comb(self.d, degree)
            if self.law == "gaussian":
                size = dimension("gaussian", self.d, degree)
            parts.append(HarmonicPart(degree, size, count / len(self.ordered_sets)))
        return tuple(parts)

    def facts(self) -> Mapping[str, Any]:
        return {
            "leap": self.leap,
            "sets": [list(s) for s in self.ordered_sets],
            "harmonics": [str(part) for part in self.harmonics()],
        }

    def theory(self) -> Mapping[str, Theory]:
        exponent = float(max(self.leap - 1, 1))
        source = f"{SOURCE}: time d^max(leap, 2), a sample per step of d (recalled)"
        return {
            "kernel": replace(kernel_rate(self.degree), status="theorem"),
            "online SGD": Theory(exponent, "rate", source, status="conjecture"),
        }

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> LeapDraw:
        if self.law == "cube":
            frame = self._draw_coordinates(seeds)
        else:
            frame = draw_frame(seeds, self.d, self.num_coordinates)
        return LeapDraw(self, tuple(seeds), frame.to(device, dtype))

    def _draw_coordinates(self, seeds: Sequence[int]) -> Tensor:
        """Unit vectors of distinct random coordinates, (R, k, d), float64."""
        keys = random.keys(seeds, f"target/{self.d}/set").unsqueeze(1)
        order = random.uniform(keys, torch.arange(self.d)).argsort(1)[:, : self.num_coordinates]
        return torch.eye(self.d, dtype=torch.float64)[order]


def order_by_leap(sets: Sets) -> Sets:
    """The sets in an order whose largest step is as small as possible.

    Always the set with the fewest new coordinates comes next: a set never has more new coordinates
    later than now, so that taking the cheapest first closes no way.
    """
    remaining = list(sets)
    ordered: list[tuple[int, ...]] = []
    while remaining:
        known = set(chain(*ordered))
        cheapest = min(remaining, key=lambda s: (len(set(s) - known), len(s)))
        remaining.remove(cheapest)
        ordered.append(cheapest)
    return tuple(ordered)


def count_new_coordinates(sets: Sets) -> list[int]:
    """|S_j \\ (S_1 ∪ … ∪ S_{j−1})| for every j, in the order that is given."""
    known: set[int] = set()
    counts = []
    for s in sets:
        counts.append(len(set(s) - known))
        known |= set(s)
    return counts


@dataclass(frozen=True)
class LeapDraw(PlantedFrameDraw):
    """R realisations of a :class:`Leap`, rows of W its directions u_1 ... u_k."""

    target: Leap

    @property
    def variance(self) -> Tensor:
        return torch.ones(len(self.seeds), dtype=torch.float64)

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        x = super().inputs(role, rows)
        return x if self.target.law == "gaussian" else x.sign_()

    def features(self, x: Tensor) -> dict[int, Tensor]:
        """Level → the product of the first coordinates, one more per level, (R, B, 1)."""
        index = [i - 1 for i in self.target.ordered_coordinates]
        products = torch.bmm(x, self.frame.mT)[..., index].cumprod(-1)
        return dict(zip(self.target.levels, torch.split(products, 1, dim=-1), strict=True))

    def labels(self, x: Tensor) -> Tensor:
        u = torch.bmm(x, self.frame.mT)
        total = torch.zeros_like(u[..., 0])
        for members in self.target.ordered_sets:
            monomial = torch.ones_like(total)
            for i in members:
                monomial = monomial * u[..., i - 1]
            total = total + monomial
        return total / math.sqrt(len(self.target.ordered_sets))
