"""Single- and multi-index models, y = link(Wx), on which rates of learning are sharpest.

The information exponent of the link says how many samples online gradient descent takes (Ben Arous,
Gheissari & Jagannath), its generative exponent what any efficient method takes (Damian et al.), and
where the two differ reusing samples, or transforming labels, gains a power of d.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from bfc.errors import require
from bfc.targets.exponents import (
    NODES,
    generative_exponent,
    hermite_polynomials,
    information_exponent,
)
from bfc.targets.kernel_rate import kernel_rate
from bfc.targets.planted_frame import PlantedFrameDraw, draw_frame
from bfc.types import Target, Theory

MAX_DEGREE = 8
LinkName = Literal[
    "he1", "he2", "he3", "he4", "he5", "he6", "he7", "he8", "sign3", "reuse_staircase"
]


@dataclass(frozen=True)
class Index(Target):
    """f*(x) = r^(−1/2) Σ_s link(W_s x), x ~ N(0, I_d), all directions orthonormal; Var f* = 1.

    Links of one direction: ``he1`` … ``he8``, He_k/√k!, or a list c_1, c_2 … of coefficients of
    these, standardised. Links of three: ``sign3``, sign(u_1u_2u_3), and ``reuse_staircase``,
    (sign(u_1u_2u_3) + He_4(u_1)/√24)/√2, which repeated data learn from O(d) samples (as the
    literature on reused batches says) and ``sign3`` alone does not.

    Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.targets.index.Index"
    version: ClassVar[int] = 1

    d: int
    """Input dimension."""
    link: LinkName | tuple[float, ...] = "he2"
    indices: int = 1
    """r, the number of links that are summed, each of directions of its own."""

    def __post_init__(self) -> None:
        require(1 <= self.d <= 1 << 20, "target.d", self.d, "an integer from 1 to 1048576")
        if isinstance(self.link, tuple):
            is_list = 1 <= len(self.link) <= MAX_DEGREE and any(self.link)
            require(
                is_list and all(abs(c) <= 1e6 for c in self.link),
                "target.link",
                self.link,
                f"a name or 1 to {MAX_DEGREE} numbers from -1e6 to 1e6, not all 0",
            )
        most = self.d // self.directions_per_link
        require(
            1 <= self.indices <= most,
            "target.indices",
            self.indices,
            f"an integer from 1 to {most}: each reads {self.directions_per_link} of "
            f"target.d = {self.d} orthonormal directions",
        )

    @property
    def directions_per_link(self) -> int:
        return 3 if self.link in ("sign3", "reuse_staircase") else 1

    @property
    def num_directions(self) -> int:
        return self.indices * self.directions_per_link

    @property
    def coefficients(self) -> tuple[float, ...]:
        """Of He_1, He_2/√2! … in a link of one direction, of norm one."""
        if isinstance(self.link, tuple):
            norm = sum(c * c for c in self.link) ** 0.5
            return tuple(c / norm for c in self.link)
        degree = int(self.link.removeprefix("he"))
        return (0.0,) * (degree - 1) + (1.0,)

    @property
    def levels(self) -> tuple[int, ...]:
        """2: the projections Wx."""
        return (2,)

    @property
    def degree(self) -> int:
        if self.directions_per_link > 1:
            return 0
        return max(k for k, c in enumerate(self.coefficients, start=1) if c)

    def apply_link(self, z: Tensor) -> Tensor:
        """The labels at projections (..., r k) → (...)."""
        parts = z.view(*z.shape[:-1], self.indices, self.directions_per_link)
        if self.directions_per_link == 1:
            values = self._polynomial(parts[..., 0])
        else:
            values = parts.prod(-1).sign()
            if self.link == "reuse_staircase":
                values = (values + hermite_polynomials(parts[..., 0], 4)[4]) / 2**0.5
        total: Tensor = values.sum(-1)
        return total / math.sqrt(self.indices)

    def _polynomial(self, t: Tensor) -> Tensor:
        polynomials = hermite_polynomials(t, len(self.coefficients))[1:]
        total = torch.zeros_like(t)
        for c, h in zip(self.coefficients, polynomials, strict=True):
            total = total + c * h
        return total

    @property
    def information_exponent(self) -> int | None:
        """Of one link, which is that of the sum."""
        return _exponents(replace(self, indices=1, d=self.directions_per_link))[0]

    @property
    def generative_exponent(self) -> int | None:
        """Of f*; None where it has more than three directions and is not computed."""
        if self.num_directions > max(NODES):
            return None
        return _exponents(replace(self, d=self.num_directions))[1]

    def facts(self) -> Mapping[str, Any]:
        return {
            "information_exponent": self.information_exponent,
            "generative_exponent": self.generative_exponent,
        }

    def theory(self) -> Mapping[str, Theory]:
        theory: dict[str, Theory] = {}
        if self.degree:
            theory["kernel"] = replace(kernel_rate(self.degree), status="theorem")
        information, generative = self.information_exponent, self.generative_exponent
        if information is not None:
            theory["online SGD"] = Theory(
                float(max(information - 1, 1)),
                "rate",
                "d^max(IE - 1, 1) (Ben Arous, Gheissari & Jagannath, arXiv:2003.10409)",
                status="theorem",
            )
        if generative is not None:
            theory["any efficient method"] = Theory(
                max(generative / 2, 1.0),
                "lower",
                "d^max(GE/2, 1), low-degree and SQ lower bounds (Damian et al., arXiv:2403.05529)",
                status="theorem",
            )
            theory["SGD, reused batches"] = Theory(
                float(max(generative - 1, 1)),
                "upper",
                "d^max(GE - 1, 1) (arXiv:2406.01581)",
                status="theorem" if self.directions_per_link == 1 else "heuristic",
            )
        return theory

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> IndexDraw:
        frame = draw_frame(seeds, self.d, self.num_directions)
        return IndexDraw(self, tuple(seeds), frame.to(device, dtype).contiguous())


@lru_cache(maxsize=64)
def _exponents(target: Index) -> tuple[int | None, int | None]:
    """Information and generative exponent of a target of at most three directions."""
    k = target.num_directions
    return information_exponent(target.apply_link, k), generative_exponent(target.apply_link, k)


@dataclass(frozen=True)
class IndexDraw(PlantedFrameDraw):
    """R realisations of an :class:`Index`, rows of W those of one link after another."""

    target: Index

    @property
    def variance(self) -> Tensor:
        return torch.ones(len(self.seeds), dtype=torch.float64)

    def features(self, x: Tensor) -> dict[int, Tensor]:
        """2: Wx, (R, B, k)."""
        return {2: torch.bmm(x, self.frame.mT)}

    def labels(self, x: Tensor) -> Tensor:
        return self.target.apply_link(self.features(x)[2])
