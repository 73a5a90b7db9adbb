"""Functions of quadratic features, f*(x) = g(xᵀA_1x, ..., xᵀA_rx).

On these targets three-layer networks trained layer by layer beat kernels because they learn the
features first (Nichani, Damian & Lee, arXiv:2305.06986; Wang, Nichani & Lee, arXiv:2311.13774;
several features: Fu et al.; all recalled). A_j has eigenvalues ±1 in equal numbers and 0, on ranges
orthogonal to one another, so that every constant and the share of every degree is exact; with A a
GOE matrix the degree-2 part of f* is not parallel to xᵀAx.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from bfc.targets.capabilities import HarmonicTarget, InputLawTarget
from bfc.targets.harmonics import HarmonicPart, Law
from bfc.targets.planted_frame import draw_frame
from bfc.types import NOTHING_REVEALED, Draw, Revealed, Theory

MAX_DEGREE = 6


@dataclass(frozen=True)
class QuadraticFeature(HarmonicTarget, InputLawTarget):
    """f*(x) = Σ_j Σ_k a_k p_k(q_j) + c Σ_{i<j} p_1(q_i) p_1(q_j), q_j = xᵀA_jx, standardised.

    p_k are the orthonormal polynomials of q_j's law; the mean of the sum is subtracted, and it is
    divided by its exact standard deviation.

    Raises :class:`bfc.errors.UserError` on bad values.
    """

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
        most_features = min(4, self.d // 2)
        require(
            1 <= self.features <= most_features,
            "target.features",
            self.features,
            f"an integer from 1 to {most_features} (4, and target.d / 2)",
        )
        if self.rank is None:
            object.__setattr__(self, "rank", 2 * (self.d // (2 * self.features)))
        largest_rank = self.d // self.features
        require(
            2 <= self.form_rank <= largest_rank and self.form_rank % 2 == 0,
            "target.rank",
            self.rank,
            f"an even integer from 2 to {largest_rank}",
        )
        self._check_weights()

    def _check_weights(self) -> None:
        alpha = list(self.alpha)
        valid = 1 <= len(alpha) <= MAX_DEGREE and all(abs(a) <= 1e6 for a in alpha)
        require(valid, "target.alpha", alpha, f"1 to {MAX_DEGREE} numbers from -1e6 to 1e6")
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
            any(alpha) or self.product != 0,
            "target.alpha",
            alpha,
            "not all 0 without target.product",
        )

    @property
    def form_rank(self) -> int:
        """Rank of each A_j."""
        assert self.rank is not None, "resolved in __post_init__"
        return self.rank

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
        sizes = [self.form_rank // 2] * (2 * self.features)
        unread = self.d - self.features * self.form_rank
        if unread:
            sizes.append(unread)
        return Blocks(self.law, sizes)

    @cached_property
    def _forms(self) -> list[Poly]:
        """q_1 ... q_r as polynomials of block norms."""
        forms = []
        for j in range(self.features):
            signs = [0] * len(self.blocks.sizes)
            signs[2 * j] = 1
            signs[2 * j + 1] = -1
            forms.append(self.blocks.form(signs))
        return forms

    @cached_property
    def _link(self) -> _Link:
        """The standardised g."""
        degree = len(self.alpha)
        moments = self._form_moments(2 * degree)
        polynomials = orthonormal(moments)[1:]
        powers = []
        for i in range(degree + 1):
            terms = zip(self.alpha, polynomials, strict=True)
            powers.append(sum(a * p[i] for a, p in terms if i < len(p)))
        product = self.product / float(moments[2] - moments[1] ** 2)
        raw = self._expand(powers, product)
        sd = math.sqrt(self.blocks.covariance(raw, raw))
        return _Link(tuple(c / sd for c in powers), product / sd, float(self.blocks.mean(raw)) / sd)

    def _form_moments(self, order: int) -> list[Fraction]:
        """E q^0 ... E q^order of one form."""
        moments = []
        power = self.blocks.one
        for _ in range(order + 1):
            moments.append(self.blocks.mean(power))
            power = self.blocks.times(power, self._forms[0])
        return moments

    def _expand(self, powers: Sequence[float], product: float) -> Poly:
        """f* with its mean, as a polynomial of block norms."""
        terms: list[tuple[Fraction, Poly]] = []
        for q in self._forms:
            power = self.blocks.one
            for c in powers:
                terms.append((Fraction(c), power))
                power = self.blocks.times(power, q)
        if product:
            for p, q in combinations(self._forms, 2):
                terms.append((Fraction(product), self.blocks.times(p, q)))
        return self.blocks.add(*terms)

    def harmonics(self) -> tuple[HarmonicPart, ...]:
        """The exact share of Var f* in every degree, with the dimension of that degree."""
        expansion = self._expand(self._link.powers, self._link.product)
        return harmonics.list_parts(self.law, self.d, self.blocks.shares(expansion))

    def facts(self) -> Mapping[str, Any]:
        return {"harmonics": [str(part) for part in self.harmonics()]}

    def theory(self) -> Mapping[str, Theory]:
        return {
            "kernel": Theory(
                float(self.degree),
                "lower",
                "dimension of the harmonics of the top degree",
                status="theorem",
            ),
            "layer-wise": Theory(
                2.0,
                "upper",
                "Wang, Nichani & Lee, arXiv:2311.13774: O~(d^2) (Nichani et al.: O~(d^4)); "
                "one feature",
                status="theorem",
            ),
        }

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> QuadraticFeatureDraw:
        frame = draw_frame(seeds, self.d, self.features * self.form_rank)
        return QuadraticFeatureDraw(self, tuple(seeds), frame.to(device, dtype).contiguous())


@dataclass(frozen=True)
class _Link:
    """g divided by the standard deviation of f*."""

    powers: tuple[float, ...]
    """Coefficients of 1, q, q² ... of Σ_k a_k p_k, the same for every feature."""
    product: float
    """c / Var q, the coefficient of q_i q_j."""
    mean: float
    """Mean of the sum, which the labels do not have."""


def orthonormal(moments: Sequence[Fraction]) -> list[list[float]]:
    """The orthonormal polynomials of degrees 0 ... K of a law with moments 0 ... 2K.

    Each is the list of its coefficients of 1, q, q² ...; Gram–Schmidt in rational arithmetic.
    """

    def inner(p: Sequence[Fraction], r: Sequence[Fraction]) -> Fraction:
        total = Fraction(0)
        for i, a in enumerate(p):
            for j, b in enumerate(r):
                total += a * b * moments[i + j]
        return total

    monic = [[Fraction(1)]]
    for _ in range(len(moments) // 2):
        raised = [Fraction(0), *monic[-1]]
        residual = list(raised)
        for p in monic:
            projection = inner(raised, p) / inner(p, p)
            for i, coefficient in enumerate(p):
                residual[i] -= projection * coefficient
        monic.append(residual)
    return [[float(c) / math.sqrt(inner(p, p)) for c in p] for p in monic]


@dataclass(frozen=True)
class QuadraticFeatureDraw(Draw):
    """R realisations of a :class:`QuadraticFeature`; see :class:`bfc.types.Draw`."""

    target: QuadraticFeature
    seeds: tuple[int, ...]
    frame: Tensor
    """Orthonormal rows (R, r·rank, d): for every form its positive range, then its negative one."""
    revealed: Revealed = NOTHING_REVEALED

    @property
    def variance(self) -> Tensor:
        return torch.ones(len(self.seeds), dtype=torch.float64)

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        d = self.target.d
        keys = random.keys(self.seeds, f"inputs/{d}/{role}", self.frame.device)
        return harmonics.sample_inputs(self.target.law, keys, rows, d, self.frame.dtype)

    @property
    def planted_forms(self) -> Tensor:
        """A_j of norm one, (R, r, d, d)."""
        count, rank = self.target.features, self.target.form_rank
        ranges = self.frame.view(len(self.seeds), count, 2, rank // 2, -1)
        positive, negative = (ranges.mT @ ranges).unbind(2)
        return (positive - negative) / math.sqrt(rank)

    def forms(self, x: Tensor) -> Tensor:
        """xᵀA_jx, (R, B, d) → (R, B, r)."""
        squares = torch.bmm(x, self.frame.mT).square()
        halves = squares.view(*x.shape[:2], self.target.features, 2, -1).sum(-1)
        return halves[..., 0] - halves[..., 1]

    def labels(self, x: Tensor) -> Tensor:
        q = self.forms(x)
        link = self.target._link
        total = torch.zeros_like(q)
        for c in reversed(link.powers):
            total = total * q + c
        y = total.sum(-1) - link.mean
        if link.product:
            for i, j in combinations(range(self.target.features), 2):
                y = y + link.product * q[..., i] * q[..., j]
        return y

    def features(self, x: Tensor) -> dict[int, Tensor]:
        return {}

    def select(self, index: Sequence[int]) -> QuadraticFeatureDraw:
        return replace(
            self, seeds=tuple(self.seeds[i] for i in index), frame=self.frame[list(index)]
        )
