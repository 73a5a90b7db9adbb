"""Functions of one projection t = β·x under the rotation-invariant input laws of the papers.

These are the uniform law on the sphere of radius √d and the standard Gaussian. The three-term
recurrence of their orthonormal polynomials h_k (Gegenbauer, Hermite) describes both, and from it
the variance that a function has in every degree follows exactly. This file exists because names
mislead: on the sphere only 15–20 % of the variance of (β·x)⁴ is of degree 4 for d from 8 to 24, so
a method that learns it to a risk of .25 has learned degree 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bfc import random

Law = Literal["sphere", "gaussian"]


@dataclass(frozen=True)
class HarmonicPart:
    """The part of f* in one degree."""

    degree: int
    dimension: int
    """N_k, the dimension of the space of that degree."""
    share: float
    """Share of Var f*."""

    def __str__(self) -> str:
        return f"degree {self.degree}: {self.share:.4g} of the variance, dimension {self.dimension}"


def dimension(law: Law, d: int, degree: int) -> int:
    """N_k, the number of orthonormal polynomials of degree k.

    Spherical harmonics on S^{d-1}: C(d+k-1, k) − C(d+k-3, k-2). Hermite polynomials of total
    degree k in d variables: C(d+k-1, k).
    """
    homogeneous = math.comb(d + degree - 1, degree)
    if law == "sphere" and degree >= 2:
        return homogeneous - math.comb(d + degree - 3, degree - 2)
    return homogeneous


def recurrence(law: Law, d: int, degree: int) -> np.ndarray:
    """b_1 … b_degree of t h_k = b_{k+1} h_{k+1} + b_k h_{k-1}, shape (degree,).

    h_k are the orthonormal polynomials of t = β·x, |β| = 1 (Var t = 1). Sphere:
    b_k² = d k (k+d-3) / ((2k+d-2)(2k+d-4)), b_1 = 1 (Gegenbauer, DLMF 18.9); Gaussian: b_k² = k.
    """
    k = np.arange(1, degree + 1, dtype=float)
    if law == "gaussian":
        return np.asarray(np.sqrt(k))
    b = np.ones(degree)
    k = k[1:]
    b[1:] = np.sqrt(d * k * (k + d - 3) / ((2 * k + d - 2) * (2 * k + d - 4)))
    return b


def power(law: Law, d: int, degree: int) -> np.ndarray:
    """Coefficients of t^degree in h_0 … h_degree, shape (degree + 1,)."""
    b = recurrence(law, d, degree)
    c = np.zeros(degree + 1)
    c[0] = 1.0
    for _ in range(degree):
        raised = np.zeros_like(c)
        raised[1:] = b * c[:-1]
        lowered = np.zeros_like(c)
        lowered[:-1] = b * c[1:]
        c = raised + lowered
    return c


def evaluate(law: Law, d: int, coefficients: Sequence[float], t: Tensor) -> Tensor:
    """Σ_k c_k h_k(t), elementwise."""
    b = recurrence(law, d, max(len(coefficients) - 1, 1)).tolist()
    previous, current = torch.zeros_like(t), torch.ones_like(t)
    total = coefficients[0] * current
    for k, coefficient in enumerate(coefficients[1:], 1):
        lower = b[k - 2] * previous if k > 1 else 0
        previous, current = current, (t * current - lower) / b[k - 1]
        total = total + coefficient * current
    return total


def overlap(law: Law, d: int, degree: int, cosine: float) -> float:
    """E h_k(β·x) h_k(β'·x) for unit vectors with this cosine.

    Its k-th power (Gaussian), or the Gegenbauer polynomial that is 1 at 1 (sphere; the addition
    theorem).
    """
    if law == "gaussian":
        return cosine**degree
    unit = [0.0] * degree + [1.0]
    t = torch.tensor(cosine * math.sqrt(d), dtype=torch.float64)
    return float(evaluate(law, d, unit, t)) / math.sqrt(dimension(law, d, degree))


def list_parts(law: Law, d: int, shares: Mapping[int, float]) -> tuple[HarmonicPart, ...]:
    """The degrees k ≥ 1 that carry variance, with shares of their sum."""
    total = sum(shares.values())
    parts = []
    for degree, variance in sorted(shares.items()):
        if degree >= 1 and variance > 1e-12 * total:
            parts.append(HarmonicPart(degree, dimension(law, d, degree), variance / total))
    return tuple(parts)


def sample_inputs(law: Law, keys: Tensor, rows: Tensor, d: int, dtype: torch.dtype) -> Tensor:
    """Rows (R, B, d) of the input law; row i depends on (key, i, d) only."""
    x = random.normal_rows(keys, rows.to(keys.device), d, dtype)
    return x if law == "gaussian" else x * (math.sqrt(d) / x.norm(dim=2, keepdim=True))
