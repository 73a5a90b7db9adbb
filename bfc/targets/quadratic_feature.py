"""Functions of quadratic features, f*(x) = g(xᵀA_1x, ..., xᵀA_rx): the targets on which three-layer
networks trained layer by layer beat kernels because they learn the features first (Nichani, Damian
& Lee, arXiv:2305.06986; Wang, Nichani & Lee, arXiv:2311.13774; several features: Fu et al.; all
recalled). A_j has eigenvalues ±1 in equal numbers and 0, on ranges orthogonal to one another, so
that every constant and the share of every degree is exact; with A a GOE matrix the degree-2 part of
f* is not parallel to xᵀAx."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar

import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets import harmonics
from bfc.targets.block_norms import Blocks, Poly
from bfc.targets.harmonics import Component, Law
from bfc.types import Draw, Target, Theory

MOST_DEGREE = 6


@dataclass(frozen=True)
class QuadraticFeature(Target):
    """f*(x) = Σ_j Σ_k a_k p_k(q_j) + c Σ_{i<j} p_1(q_i) p_1(q_j), q_j = xᵀA_jx, p_k the orthonormal
    polynomials of q_j's law; less its mean and divided by its exact standard deviation. Raises
    :class:`bfc.errors.UserError` on bad values."""

    identity_name: ClassVar[str] = "bfc.targets.quadratic_feature.QuadraticFeature"
    version: ClassVar[int] = 1

    d: int
    """Input dimension."""
    alpha: tuple[float, ...] = (1.0, 1.0)
    """a_1 ... a_K: weight of each degree of g."""
    features: int = 1
    """r, the number of quadratic features."""
    product: float = 0.0
    """c, the weight of the products of two features."""
    rank: int | None = None
    """Rank of each A_j, even; null: the largest, 2 ⌊d / 2r⌋."""
    law: Law = "sphere"
    """x uniform on the sphere of radius √d, or standard Gaussian."""

    def __post_init__(self) -> None:
        require(2 <= self.d <= 1 << 16, "target.d", self.d, "an integer from 2 to 65536")
        require(
            1 <= self.features <= min(4, self.d // 2),
            "target.features",
            self.features,
            f"an integer from 1 to {min(4, self.d // 2)} (4, and target.d / 2)",
        )
        if self.rank is None:
            object.__setattr__(self, "rank", 2 * (self.d // (2 * self.features)))
        top = self.d // self.features
        require(
            2 <= self.rank <= top and self.rank % 2 == 0,
            "target.rank",
            self.rank,
            f"an even integer from 2 to {top}",
        )
        listed = 1 <= len(self.alpha) <= MOST_DEGREE and all(abs(a) <= 1e6 for a in self.alpha)
        require(
            listed, "target.alpha", list(self.alpha), f"1 to {MOST_DEGREE} numbers from -1e6 to 1e6"
        )
        require(
            abs(self.product) <= 1e6, "target.product", self.product, "a number from -1e6 to 1e6"
        )
        require(
            self.product == 0 or self.features > 1,
            "target.product",
            self.product,
            "0 with target.features=1",
        )
        require(
            any(self.alpha) or self.product != 0,
            "target.alpha",
            list(self.alpha),
            "not all 0 without target.product",
        )

    @property
    def levels(self) -> tuple[int, ...]:
        return ()

    @property
    def degree(self) -> int:
        top = max((k for k, a in enumerate(self.alpha, 1) if a), default=0)
        return 2 * max(top, 2 if self.product else 0)

    @cached_property
    def blocks(self) -> Blocks:
        """Positive and negative range of every form, then what no form reads."""
        half, rest = self.rank // 2, self.d - self.features * self.rank
        return Blocks(self.law, (*(half,) * (2 * self.features), *((rest,) if rest else ())))

    @cached_property
    def _forms(self) -> list[Poly]:
        count = len(self.blocks.sizes)
        return [
            self.blocks.form(
                [1 if b == 2 * j else -1 if b == 2 * j + 1 else 0 for b in range(count)]
            )
            for j in range(self.features)
        ]

    @cached_property
    def _link(self) -> tuple[tuple[float, ...], float, float]:
        """What the labels need: coefficients of 1, q, q² ... of Σ_k a_k p_k (the same for every
        feature), c / Var q, and of all of f* its mean and standard deviation folded in: (power
        coefficients, product coefficient, constant)."""
        top = max(len(self.alpha), 1)
        moments, power = [], self.blocks.one
        for _ in range(2 * top + 1):
            moments.append(self.blocks.mean(power))
            power = self.blocks.times(power, self._forms[0])
        powers = orthonormal(moments)
        g = [
            sum(a * p[i] for a, p in zip(self.alpha, powers[1:], strict=True) if i < len(p))
            for i in range(top + 1)
        ]
        second = self.product / float(moments[2] - moments[1] ** 2)
        whole = self._whole(g, second)
        sd = math.sqrt(self.blocks.covariance(whole, whole))
        return tuple(c / sd for c in g), second / sd, float(self.blocks.mean(whole)) / sd

    def _whole(self, g: Sequence[float], second: float) -> Poly:
        """f* before standardising, as a polynomial of block norms."""
        terms: list[tuple[Fraction, Poly]] = []
        for q in self._forms:
            power = self.blocks.one
            for c in g:
                terms.append((Fraction(c), power))
                power = self.blocks.times(power, q)
        if second:
            terms += [
                (Fraction(second), self.blocks.times(p, q)) for p, q in combinations(self._forms, 2)
            ]
        return self.blocks.add(*terms)

    def harmonics(self) -> tuple[Component, ...]:
        """The exact share of Var f* in every degree, with the dimension of that degree."""
        g, second, _ = self._link
        return harmonics.components(self.law, self.d, self.blocks.shares(self._whole(g, second)))

    def facts(self) -> Mapping[str, Any]:
        return {"harmonics": [str(part) for part in self.harmonics()]}

    def theory(self) -> Mapping[str, Theory]:
        return {
            "kernel": Theory(
                float(self.degree), "lower", "dimension of the harmonics of the top degree"
            ),
            "layer-wise": Theory(
                2.0,
                "upper",
                "Wang, Nichani & Lee, arXiv:2311.13774: O~(d^2) (Nichani et al.: O~(d^4)); one feature",
            ),
        }

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> QuadraticFeatureDraw:
        used = self.features * self.rank
        raw = random.normal(seeds, f"target/{self.d}/frame", (self.d, used), torch.float64)
        frame = torch.linalg.qr(raw)[0].mT
        return QuadraticFeatureDraw(self, tuple(seeds), frame.to(device, dtype).contiguous())


def orthonormal(moments: Sequence[Fraction]) -> list[list[float]]:
    """The orthonormal polynomials of degrees 0 ... K of a law with moments 0 ... 2K, as
    coefficients of 1, q, q² ...: Gram–Schmidt in rational arithmetic."""

    def inner(p: Sequence[Fraction], r: Sequence[Fraction]) -> Fraction:
        return sum(
            (a * b * moments[i + j] for i, a in enumerate(p) for j, b in enumerate(r)), Fraction(0)
        )

    monic = [[Fraction(1)]]
    for k in range(1, len(moments) // 2 + 1):
        new = [Fraction(0), *monic[-1]]
        along = [inner(new, p) / inner(p, p) for p in monic]
        monic.append(
            [
                new[i]
                - sum(
                    (c * p[i] for c, p in zip(along, monic, strict=True) if i < len(p)), Fraction(0)
                )
                for i in range(k + 1)
            ]
        )
    return [[float(c) / math.sqrt(inner(p, p)) for c in p] for p in monic]


@dataclass(frozen=True)
class QuadraticFeatureDraw(Draw):
    """R realisations of a :class:`QuadraticFeature`; see :class:`bfc.types.Draw`."""

    target: QuadraticFeature
    seeds: tuple[int, ...]
    frame: Tensor
    """Orthonormal rows (R, r·rank, d): for every form its positive range, then its negative one."""
    revealed: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def variance(self) -> Tensor:
        return torch.ones(len(self.seeds), dtype=torch.float64)

    @property
    def variance_error(self) -> Tensor:
        return torch.zeros(len(self.seeds), dtype=torch.float64)

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        d = self.target.d
        keys = random.keys(self.seeds, f"inputs/{d}/{role}", self.frame.device)
        return harmonics.sample_inputs(self.target.law, keys, rows, d, self.frame.dtype)

    def forms(self, x: Tensor) -> Tensor:
        """xᵀA_jx, (R, B, d) → (R, B, r)."""
        halves = (
            torch.bmm(x, self.frame.mT)
            .square()
            .view(*x.shape[:2], self.target.features, 2, -1)
            .sum(-1)
        )
        return halves[..., 0] - halves[..., 1]

    def labels(self, x: Tensor) -> Tensor:
        q = self.forms(x)
        g, second, mean = self.target._link
        total = torch.zeros_like(q)
        for c in reversed(g):
            total = total * q + c
        y = total.sum(-1) - mean
        for i, j in combinations(range(self.target.features), 2) if second else ():
            y = y + second * q[..., i] * q[..., j]
        return y

    def features(self, x: Tensor) -> dict[int, Tensor]:
        return {}

    def select(self, index: Sequence[int]) -> QuadraticFeatureDraw:
        return replace(
            self, seeds=tuple(self.seeds[i] for i in index), frame=self.frame[list(index)]
        )
