"""Quadratic functions of quadratic features, with one threshold of n per feature.

Hierarchical spectral learning (Tabanelli et al., arXiv:2602.10867) and its scaling laws
(Wortsman-Zurich et al., arXiv:2605.14567): a spectral algorithm finds the features one after
another, by their weights, from about d² labels each, where a kernel needs d^4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch
from scipy.linalg import hadamard
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets.block_norms import Blocks
from bfc.targets.kernel_rate import kernel_rate
from bfc.targets.planted_frame import draw_frame
from bfc.types import NOTHING_REVEALED, Draw, Revealed, Target, Theory

PAPER = "Tabanelli et al., arXiv:2602.10867"
SCALING = "Wortsman-Zurich et al., arXiv:2605.14567"
MAX_FEATURES_OF_HE2 = 7
"""Most features whose composition with He_2 is expanded exactly (8 blocks of coordinates)."""


@dataclass(frozen=True)
class QuadraticOfQuadratics(Target):
    """f*(x) = g(2^(−1/2) Σ_j λ_j (h_j² − 1)), h_j = (x'A_jx − tr A_j)/√2, x ~ N(0, I_d).

    |A_j|_F = 1, λ_j = ±Z j^(−γ) with ``signs`` and Σ λ_j² = 1. Form ``hadamard``: A_j =
    Q diag(row j of a Hadamard matrix of size m, every entry repeated ⌊d/m⌋ times) Q'/√(m⌊d/m⌋) with
    random orthonormal columns Q, m the smallest power of two above p; ``gaussian``: symmetric
    Gaussian matrices. g is the identity (degree 4, Var f* about 1 and known exactly), or He_2
    standardised (degree 8).

    Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.targets.quadratic_of_quadratics.QuadraticOfQuadratics"
    version: ClassVar[int] = 1

    d: int
    """Input dimension."""
    p: int = 2
    """Number of quadratic features."""
    gamma: float = 0.0
    """γ, the decay of the weights; 0: equal weights."""
    form: Literal["hadamard", "gaussian"] = "hadamard"
    link: Literal["identity", "he2"] = "identity"
    """g"""
    signs: Literal["alternating", "plus"] = "alternating"
    """Of λ_j; with plus signs the label is skewed and its tail heavier."""

    def __post_init__(self) -> None:
        require(2 <= self.d <= 1 << 14, "target.d", self.d, "an integer from 2 to 16384")
        require(1 <= self.p <= self.d, "target.p", self.p, f"an integer from 1 to d = {self.d}")
        require(0 <= self.gamma <= 8, "target.gamma", self.gamma, "a number from 0 to 8")
        if self.form == "hadamard":
            require(
                self.d >= self.hadamard_size,
                "target.d",
                self.d,
                f"at least {self.hadamard_size}, the smallest power of two above target.p, with "
                "target.form=hadamard",
            )
        if self.link == "he2":
            is_exact = self.form == "hadamard" and self.p <= MAX_FEATURES_OF_HE2
            require(
                is_exact,
                "target.link",
                self.link,
                f"identity, unless target.form=hadamard and target.p <= {MAX_FEATURES_OF_HE2}",
            )

    @property
    def hadamard_size(self) -> int:
        """m, the smallest power of two above p."""
        return 1 << self.p.bit_length()

    @property
    def hadamard_rank(self) -> int:
        """Rank of every A_j of the form ``hadamard``."""
        return self.d // self.hadamard_size * self.hadamard_size

    @property
    def weights(self) -> tuple[float, ...]:
        """λ_1 ... λ_p."""
        base = -1 if self.signs == "alternating" else 1
        raw = [base**j * (j + 1) ** -self.gamma for j in range(self.p)]
        norm = math.sqrt(sum(w * w for w in raw))
        return tuple(w / norm for w in raw)

    @property
    def levels(self) -> tuple[int, ...]:
        """2: the quadratic features h_j."""
        return (2,)

    @property
    def degree(self) -> int:
        return 8 if self.link == "he2" else 4

    @property
    def thresholds(self) -> tuple[float, ...]:
        """n_j = D_2 j^(2γ)/Z², the scale at which feature j is learned, D_2 = d(d + 1)/2."""
        dimension = self.d * (self.d + 1) / 2
        return tuple(dimension / w**2 for w in self.weights)

    def facts(self) -> Mapping[str, Any]:
        return {"weights": list(self.weights), "feature_thresholds": list(self.thresholds)}

    def theory(self) -> Mapping[str, Theory]:
        status: Literal["theorem", "heuristic"] = "theorem"
        if self.link != "identity":
            status = "heuristic"
        theory = {"kernel": replace(kernel_rate(self.degree), status="theorem")}
        source = f"{PAPER}: n >> d(d+1)/2 / lambda_j^2; {SCALING}"
        for j in range(1, self.p + 1):
            theory[f"spectral, feature {j}"] = Theory(2.0, "rate", source, status=status)
        return theory

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> QuadraticOfQuadraticsDraw:
        if self.form == "hadamard":
            matrices = self._draw_hadamard(seeds)
        else:
            matrices = self._draw_gaussian(seeds)
        weights = torch.tensor(self.weights, dtype=dtype, device=device)
        return QuadraticOfQuadraticsDraw(
            self,
            tuple(seeds),
            matrices.to(device, dtype),
            weights.repeat(len(seeds), 1),
            self._variances(matrices),
        )

    def _draw_hadamard(self, seeds: Sequence[int]) -> Tensor:
        """A_1 ... A_p per seed, (R, p, d, d), float64."""
        rank, size = self.hadamard_rank, self.hadamard_size
        rotation = draw_frame(seeds, self.d, rank).mT.unsqueeze(1)
        signs = torch.tensor(hadamard(size)[1 : self.p + 1], dtype=torch.float64)
        eigenvalues = signs.repeat_interleave(rank // size, 1) / math.sqrt(rank)
        matrices: Tensor = rotation * eigenvalues.unsqueeze(1) @ rotation.mT
        return matrices

    def _draw_gaussian(self, seeds: Sequence[int]) -> Tensor:
        shape = (self.p, self.d, self.d)
        raw = random.normal(seeds, f"target/{self.d}/forms", shape, torch.float64)
        symmetric = raw + raw.mT
        norms: Tensor = symmetric.flatten(2).norm(dim=2)
        return symmetric / norms[..., None, None]

    def _variances(self, matrices: Tensor) -> Tensor:
        """Var f* per seed, (R,), float64."""
        if self.link == "he2":
            return torch.ones(len(matrices), dtype=torch.float64)
        weights = torch.tensor(self.weights, dtype=torch.float64)
        return torch.stack([quartic_variance(a, weights) for a in matrices])

    @cached_property
    def he2_moments(self) -> tuple[float, float]:
        """Mean and standard deviation of s², s what g is given, exactly (form ``hadamard``)."""
        rank, size = self.hadamard_rank, self.hadamard_size
        blocks = Blocks("gaussian", [rank // size] * size)
        terms = [(Fraction(-sum(self.weights)), blocks.one)]
        for weight, signs in zip(self.weights, hadamard(size)[1:], strict=False):
            form = blocks.form([int(sign) for sign in signs])
            terms.append((Fraction(weight) / (2 * rank), blocks.times(form, form)))
        s = blocks.add(*terms)
        square = blocks.times(s, s)
        variance = blocks.covariance(square, square)
        return float(blocks.mean(square)) / 2, math.sqrt(variance) / 2


def quartic_variance(matrices: Tensor, weights: Tensor) -> Tensor:
    """Var 2^(−1/2) Σ_j λ_j h_j² for h_j = (x'A_jx − tr A_j)/√2, x ~ N(0, I).

    ``matrices`` (p, d, d) symmetric, ``weights`` (p,) → a number. From the cumulants of quadratic
    forms, Cov(h_j², h_k²) = 2 tr(A_jA_k)² + 8 tr(A_j²A_k²) + 4 tr(A_jA_kA_jA_k).
    """
    flat = matrices.flatten(1)
    products = torch.einsum("jab,kbc->jkac", matrices, matrices)
    squares = torch.einsum("jab,jbc->jac", matrices, matrices).flatten(1)
    alternating = torch.einsum("jkab,jkba->jk", products, products)
    covariance = 2 * (flat @ flat.mT).square() + 8 * squares @ squares.mT + 4 * alternating
    variance: Tensor = weights @ covariance @ weights / 2
    return variance


@dataclass(frozen=True)
class QuadraticOfQuadraticsDraw(Draw):
    """R realisations of a :class:`QuadraticOfQuadratics`; see :class:`bfc.types.Draw`."""

    target: QuadraticOfQuadratics
    seeds: tuple[int, ...]
    matrices: Tensor
    """A_1 ... A_p, (R, p, d, d)."""
    weights: Tensor
    """λ_1 ... λ_p, (R, p)."""
    variances: Tensor
    """(R,), float64."""
    revealed: Revealed = NOTHING_REVEALED

    @property
    def variance(self) -> Tensor:
        return self.variances

    @property
    def planted_forms(self) -> Tensor:
        return self.matrices

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        d = self.target.d
        keys = random.keys(self.seeds, f"inputs/{d}/{role}", self.matrices.device)
        return random.normal_rows(keys, rows.to(keys.device), d, self.matrices.dtype)

    def features(self, x: Tensor) -> dict[int, Tensor]:
        """2: h_1 ... h_p, (R, B, p)."""
        forms = []
        for j in range(self.target.p):
            a = self.matrices[:, j]
            trace = a.diagonal(dim1=1, dim2=2).sum(1).unsqueeze(1)
            forms.append((torch.bmm(x, a) * x).sum(2) - trace)
        return {2: torch.stack(forms, 2) / math.sqrt(2)}

    def labels(self, x: Tensor) -> Tensor:
        h = self.features(x)[2]
        s = ((h.square() - 1) * self.weights.unsqueeze(1)).sum(2) / math.sqrt(2)
        if self.target.link == "identity":
            return s
        mean, deviation = self.target.he2_moments
        return (s.square() - mean) / deviation

    def select(self, index: Sequence[int]) -> QuadraticOfQuadraticsDraw:
        positions = list(index)
        return replace(
            self,
            seeds=tuple(self.seeds[i] for i in positions),
            matrices=self.matrices[positions],
            weights=self.weights[positions],
            variances=self.variances[positions],
        )
