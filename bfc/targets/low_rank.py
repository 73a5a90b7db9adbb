"""Polynomials of a few projections, f*(x) = Σ_s α_s g_s(β_s·x).

Chen et al., "Towards Understanding Hierarchical Learning: Benefits of Neural Representations"
(arXiv:2006.13436, section 2; recalled). g_s is a power or the single-degree polynomial of the input
law (Gegenbauer on the sphere, Hermite for Gaussian inputs). The single-degree form is the sharp
test: a power is mostly of low degree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets import harmonics
from bfc.targets.capabilities import HarmonicTarget, InputLawTarget
from bfc.targets.harmonics import HarmonicPart, Law
from bfc.types import NOTHING_REVEALED, Draw, Revealed, Theory

PAPER = "Chen et al., arXiv:2006.13436"
MAX_DEGREE = 32


@dataclass(frozen=True)
class LowRank(HarmonicTarget, InputLawTarget):
    """f*(x) = Σ_s α_s g_{p_s}(β_s·x), standardised exactly: mean 0 and Var f* = 1.

    The β_s are random, of unit norm and with the same cosine between any two.

    Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.targets.low_rank.LowRank"
    version: ClassVar[int] = 1

    d: int
    """Input dimension."""
    degrees: tuple[int, ...] = (4,)
    """p_1 ... p_r, one per direction: the rank is their number."""
    alpha: tuple[float, ...] | None = None
    """α_1 ... α_r; null: all 1. Only their ratios matter."""
    basis: Literal["harmonic", "power"] = "harmonic"
    """g_p(t): ``harmonic``, the orthonormal polynomial of degree p, or ``power``, t^p.

    The orthonormal polynomials are Gegenbauer's on the sphere, Hermite's for Gaussian inputs."""
    law: Law = "sphere"
    """x uniform on the sphere of radius √d, or standard Gaussian."""
    cosine: float = 0.0
    """β_s·β_s' for s ≠ s'; 0: orthonormal directions."""

    def __post_init__(self) -> None:
        require(1 <= self.d <= 1 << 20, "target.d", self.d, "an integer from 1 to 1048576")
        require(
            self.law == "gaussian" or self.d >= 2,
            "target.d",
            self.d,
            "at least 2 with target.law=sphere",
        )
        self._check_degrees()
        if self.alpha is None:
            object.__setattr__(self, "alpha", (1.0,) * len(self.degrees))
        self._check_alpha()
        require(0 <= self.cosine < 1, "target.cosine", self.cosine, "a number in [0, 1)")
        self._check_variance()

    def _check_degrees(self) -> None:
        degrees = list(self.degrees)
        require(
            1 <= len(degrees) <= self.d,
            "target.degrees",
            degrees,
            f"a list of 1 to target.d = {self.d} integers",
        )
        require(
            all(1 <= p <= MAX_DEGREE for p in degrees),
            "target.degrees",
            degrees,
            f"integers from 1 to {MAX_DEGREE}",
        )

    def _check_alpha(self) -> None:
        alpha = list(self.weights)
        rank = len(self.degrees)
        require(
            len(alpha) == rank,
            "target.alpha",
            alpha,
            f"a list of {rank} numbers, one per direction",
        )
        require(
            all(a != 0 and abs(a) <= 1e6 for a in alpha),
            "target.alpha",
            alpha,
            "numbers other than 0 up to 1e6",
        )

    def _check_variance(self) -> None:
        """Refuse directions that cancel."""
        largest_norm = max(float(c @ c) for c in self._expansions())
        scale = sum(a * a for a in self.weights) * largest_norm
        require(
            sum(self._variances().values()) > 1e-12 * scale,
            "target.alpha",
            list(self.weights),
            "such that f* is not constant",
        )

    @property
    def weights(self) -> tuple[float, ...]:
        """α_1 ... α_r."""
        assert self.alpha is not None, "resolved in __post_init__"
        return self.alpha

    @property
    def levels(self) -> tuple[int, ...]:
        return ()

    @property
    def degree(self) -> int:
        return max(self.degrees)

    def _expansions(self) -> list[np.ndarray]:
        """g_s in h_0 ... h_p per direction."""
        if self.basis == "power":
            return [harmonics.power(self.law, self.d, p) for p in self.degrees]
        return [np.eye(p + 1)[p] for p in self.degrees]

    def _variances(self) -> dict[int, float]:
        """Variance of Σ_s α_s g_s in every degree k ≥ 1.

        c_kᵀ G_k c_k with c_k the directions' coefficients and G_k their overlaps.
        """
        variances = {}
        for k in range(1, self.degree + 1):
            c = np.zeros(len(self.degrees))
            for s, (a, expansion) in enumerate(zip(self.weights, self._expansions(), strict=True)):
                if k < len(expansion):
                    c[s] = a * expansion[k]
            overlap = harmonics.overlap(self.law, self.d, k, self.cosine)
            variances[k] = float((1 - overlap) * (c @ c) + overlap * c.sum() ** 2)
        return variances

    def harmonics(self) -> tuple[HarmonicPart, ...]:
        """The exact share of Var f* in every degree, with the dimension of that degree."""
        return harmonics.list_parts(self.law, self.d, self._variances())

    def facts(self) -> Mapping[str, Any]:
        return {"harmonics": [str(part) for part in self.harmonics()]}

    def theory(self) -> Mapping[str, Theory]:
        p = self.degree
        return {
            "kernel": Theory(
                float(p),
                "lower",
                f"{PAPER}: any inner-product kernel needs d^p",
                status="theorem",
            ),
            "quadratic, raw": Theory(
                float(max(p - 1, 1)),
                "upper",
                f"{PAPER}, after Bai & Lee, arXiv:1910.01619",
                status="theorem",
            ),
            "quadratic, neural": Theory(
                float(math.ceil(p / 2)),
                "upper",
                f"{PAPER}: D = d^(p/2) features",
                status="theorem",
            ),
        }

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> LowRankDraw:
        r = len(self.degrees)
        raw = random.normal(seeds, f"target/{self.d}/directions", (self.d, r), torch.float64)
        frame = torch.linalg.qr(raw)[0].mT
        gram = torch.full((r, r), self.cosine, dtype=torch.float64).fill_diagonal_(1.0)
        beta = torch.linalg.cholesky(gram) @ frame
        return LowRankDraw(
            self, tuple(seeds), beta.to(device, dtype), self._standardised_expansions()
        )

    def _standardised_expansions(self) -> tuple[tuple[float, ...], ...]:
        """α_s g_s / sd in h_0 ... h_p per direction, without the mean."""
        sd = math.sqrt(sum(self._variances().values()))
        expansions = []
        for alpha, expansion in zip(self.weights, self._expansions(), strict=True):
            coefficients = alpha / sd * expansion
            coefficients[0] = 0.0
            expansions.append(tuple(map(float, coefficients)))
        return tuple(expansions)


@dataclass(frozen=True)
class LowRankDraw(Draw):
    """R realisations of a :class:`LowRank`; see :class:`bfc.types.Draw`."""

    target: LowRank
    seeds: tuple[int, ...]
    beta: Tensor
    """Directions, (R, r, d)."""
    expansions: tuple[tuple[float, ...], ...]
    """α_s g_s / sd in h_0 ... h_p, per direction."""
    revealed: Revealed = NOTHING_REVEALED

    @property
    def variance(self) -> Tensor:
        return torch.ones(len(self.seeds), dtype=torch.float64)

    @property
    def planted_subspace(self) -> Tensor:
        basis: Tensor = torch.linalg.qr(self.beta.mT)[0]
        return basis

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        d = self.target.d
        keys = random.keys(self.seeds, f"inputs/{d}/{role}", self.beta.device)
        return harmonics.sample_inputs(self.target.law, keys, rows, d, self.beta.dtype)

    def labels(self, x: Tensor) -> Tensor:
        t = torch.bmm(x, self.beta.mT)
        y = torch.zeros_like(t[..., 0])
        for s, expansion in enumerate(self.expansions):
            y = y + harmonics.evaluate(self.target.law, self.target.d, expansion, t[..., s])
        return y

    def features(self, x: Tensor) -> dict[int, Tensor]:
        return {}

    def select(self, index: Sequence[int]) -> LowRankDraw:
        return replace(self, seeds=tuple(self.seeds[i] for i in index), beta=self.beta[list(index)])
