"""How much of the variance of a hierarchy's classes lies in which order of interaction, exactly.

Where every tuple is in a rule (m = v^(s−1), n_c = v, uniform rules) the symbols of a string are
independent and uniform, and the one-hot vector of its class has an ANOVA decomposition: the part of
order k is a sum of functions of k symbols each, of mean zero in every one of them. The orders are
what a kernel of the number of agreeing symbols learns one after the other
(:mod:`bfc.bounds.kernel_law`).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq

from bfc.targets.rule_tables import RuleTables

Array = NDArray[np.float64]


def variance_shares(rules: RuleTables) -> Array:
    """S_1 … S_d, the share of the classes' variance in every order, (R, d); their sum is 1.

    With C_k the covariance (v, v) of the part of order k of the one-hot symbols of a level:
    C_0 = 11ᵀ/v², C_1 = I/v − 11ᵀ/v² below, and C'_k = T (Σ_{i+j+…=k} C_i ⊗ C_j ⊗ …) Tᵀ above, T the
    (v, v^s) table of which tuples are of which symbol. The sum is a product of the polynomials
    Σ_k C_k t^k, which are evaluated at roots of unity.
    """
    v, s, degree = rules.v, rules.s, rules.s**rules.L
    angle = 2 * math.pi / (degree + 1) * torch.arange(degree + 1, dtype=torch.float64)
    t = torch.polar(torch.ones_like(angle), angle).view(-1, 1, 1)
    mean = torch.full((v, v), 1 / v**2, dtype=torch.complex128)
    identity = torch.eye(v, dtype=torch.complex128) / v
    covariance = (mean + (identity - mean) * t).expand(len(rules.parents[0]), -1, -1, -1)
    for parents in rules.parents:
        count = int(parents.max()) + 1
        table = torch.nn.functional.one_hot(parents, count).mT.to(covariance.dtype)
        rows = table.unsqueeze(1)
        for _ in range(s):  # one child after the other: its axis is taken first and put back last
            parts = torch.unflatten(rows, 3, (v, -1)).movedim(3, 4)
            rows = (parts @ covariance.unsqueeze(2)).flatten(3)
        covariance = rows @ table.unsqueeze(1).mT
    trace = covariance.diagonal(dim1=2, dim2=3).sum(2)
    variances = torch.fft.fft(trace, dim=1).real / (degree + 1)
    orders = variances[:, 1:].clamp(min=0)
    shares: Array = (orders / orders.sum(1, keepdim=True)).numpy()
    return shares


def multiplicities(v: int, d: int) -> Array:
    """M_0 … M_d, the number of independent functions of every order, C(d, k)(v − 1)^k, (d + 1,)."""
    numbers = [math.comb(d, k) * (v - 1) ** k for k in range(d + 1)]
    return np.array(numbers, dtype=float)


def samples_of_the_best_kernel(shares: Array, v: int, eps: float) -> float:
    """n* at which the best of all kernels of the number of agreeing symbols has MSE/variance eps.

    Of the law of :mod:`bfc.bounds.kernel_law`: over all eigenvalues and ridges its risk at n is
    least for eigenvalues ∝ S_k/M_k without a ridge (a Gaussian process whose prior is the target's
    own spectrum), and reaches eps where Σ_k S_k M_k / (n S_k + eps M_k) = 1. ``shares`` (d,).
    """
    number = multiplicities(v, len(shares))[1:]

    def excess(log_n: float) -> float:
        return float((shares * number / (math.exp(log_n) * shares + eps * number)).sum()) - 1

    top = math.log(float(number.sum())) + 1
    return math.exp(brentq(excess, -1.0, top))
