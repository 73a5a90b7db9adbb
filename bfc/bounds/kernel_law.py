"""The risk of kernel ridge regression on a random hierarchy at every n, in closed form.

A kernel that depends on two strings through the number of symbols in which they agree, as every
dot-product and distance kernel on one-hot vectors does, has one eigenvalue for every order of
interaction. Its risk then follows from the share of the classes' variance in every order
(:mod:`bfc.targets.order_spectrum`) by the deterministic equivalent of kernel ridge regression
(Bordelon, Canatar & Pehlevan, arXiv:2002.02561; Simon et al., arXiv:2110.03922).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import brentq

from bfc.baselines.ridge import KernelRidge
from bfc.errors import UserError, require
from bfc.targets.hierarchy import Hierarchy
from bfc.targets.hierarchy_strings import HELD_OUT_SHARE
from bfc.targets.order_spectrum import Array, multiplicities, variance_shares

MAX_LENGTH = 64
"""Longest strings whose eigenvalues are above the rounding errors of the kernel."""

MAX_SAMPLES = 1e30
"""Largest n* that is looked for; a ridge may hide the highest orders for ever."""


def kernel_of_agreement(kernel: KernelRidge, v: int, d: int) -> Array:
    """κ(0) … κ(d): the kernel of two strings that agree in a places, (d + 1,)."""
    strings = torch.zeros(d + 1, d, dtype=torch.int64)
    for agreeing in range(d + 1):
        strings[agreeing, agreeing:] = 1
    one_hot = torch.nn.functional.one_hot(strings, v).double().flatten(1)
    values: Array = kernel.gram(one_hot[-1:], one_hot)[0].numpy()
    return values


def eigenvalues(kappa: Array, v: int) -> Array:
    """λ_0 … λ_d of a kernel of the number of agreeing places under uniform strings, (d + 1,).

    λ_k = v^−d Σ_a κ(a) Σ_i C(k, i)(−1)^(k−i) C(d−k, a−i)(v−1)^(d−k−a+i). The inner sum,
    Krawtchouk's polynomial, is exact in integers.
    """
    d = len(kappa) - 1
    rows = []
    for k in range(d + 1):
        rows.append([_krawtchouk(k, a, v, d) / v**d for a in range(d + 1)])
    values: Array = np.array(rows) @ kappa
    return values


def _krawtchouk(k: int, a: int, v: int, d: int) -> int:
    """Sum over the strings that agree with a given one in a places of a character of order k."""
    total = 0
    for i in range(max(0, a - d + k), min(k, a) + 1):
        signed = math.comb(k, i) * (-1) ** (k - i)
        total += signed * math.comb(d - k, a - i) * (v - 1) ** (d - k - a + i)
    return total


def check_law(target: Hierarchy, kernel: KernelRidge) -> None:
    """Refuse what the law does not describe (:class:`bfc.errors.UserError`)."""
    if not target.has_uniform_strings:
        raise UserError(
            "target=hierarchy: has no kernel law unless its strings are uniform; allowed: "
            "m = v^(s-1), classes = v, zipf = 0, sparse = 0"
        )
    if not kernel.is_rotation_invariant:
        raise UserError(
            f"{kernel.label}: has no kernel law, since it does not depend on the number of "
            "agreeing symbols alone"
        )
    require(target.d <= MAX_LENGTH, "target.L", target.L, f"such that d = s^L <= {MAX_LENGTH}")


def predict_risks(
    target: Hierarchy, kernel: KernelRidge, ridge: float, seed: int, n: Sequence[int]
) -> list[float]:
    """MSE over variance on unseen strings of the rules of one seed, at every n.

    ``kernel`` has no parameters left to tune. Raises :class:`bfc.errors.UserError` for what the law
    does not describe.
    """
    check_law(target, kernel)
    law = KernelLaw.of(kernel, target.v, target.d, ridge)
    (shares,) = variance_shares(target.grammar.draw([seed]))
    return [law.unseen_risk(size, shares) for size in n]


@dataclass(frozen=True)
class KernelLaw:
    """Kernel ridge regression on uniform strings of d symbols out of v."""

    v: int
    eigenvalues: Array
    """λ_0 … λ_d, (d + 1,)."""
    ridge: float
    """λ of K + λI."""

    @classmethod
    def of(cls, kernel: KernelRidge, v: int, d: int, ridge: float) -> KernelLaw:
        """The law of a kernel without parameters that are tuned."""
        return cls(v, eigenvalues(kernel_of_agreement(kernel, v, d), v), ridge)

    @property
    def d(self) -> int:
        return len(self.eigenvalues) - 1

    def resolution(self, n: float) -> float:
        """K > 0 with n = ridge/K + Σ_k M_k λ_k/(λ_k + K): orders with λ_k above it are learned.

        0 from n = v^d on without a ridge, where every string has been seen.
        """
        number = multiplicities(self.v, self.d)
        values = self.eigenvalues.clip(min=0)

        def excess(log_k: float) -> float:
            k = math.exp(log_k)
            return self.ridge / k + float((number * values / (values + k)).sum()) - n

        low, high = math.log(1e-30), math.log((float((number * values).sum()) + self.ridge) / n) + 1
        if excess(low) <= 0:
            return 0.0
        return math.exp(brentq(excess, low, high, xtol=1e-13))

    def risk(self, n: float, shares: Array) -> float:
        """MSE over variance on strings of the whole law; ``shares`` (d,) are S_1 … S_d.

        Σ_{k≥1} S_k (K/(λ_k + K))² / (1 − Σ_k M_k (λ_k/(λ_k + K))²/n). The constant, of order 0, is
        taken as learned.
        """
        k = self.resolution(n)
        if k == 0:
            return 0.0
        values = self.eigenvalues.clip(min=0)
        missed = (k / (values + k)) ** 2
        learned = (values / (values + k)) ** 2
        variance = float((multiplicities(self.v, self.d) * learned).sum()) / n
        return float((shares * missed[1:]).sum()) / (1 - variance)

    def unseen_risk(self, n: int, shares: Array) -> float:
        """The risk on strings that are not among the n drawn ones, as it is measured here.

        Some of the N = v^d strings are held out, so that n rows hold D = P (1 − exp(−n/P)) distinct
        strings of the other P, on average. The risk on those is (ridge/(D K))² of that on all
        strings (the training error in the same equivalent), which leaves
        risk(D) (1 − D/N (ridge/(D K))²) / (1 − D/N) for the others. A string that is drawn twice
        counts once here, which is exact without a ridge and for D well below N.
        """
        strings = float(self.v**self.d)
        pool = (1 - HELD_OUT_SHARE) * strings
        distinct = -pool * math.expm1(-n / pool)
        seen_share = distinct / strings
        seen_risk = (self.ridge / (distinct * self.resolution(distinct))) ** 2
        return self.risk(distinct, shares) * (1 - seen_share * seen_risk) / (1 - seen_share)

    def samples(self, eps: float, shares: Array) -> float:
        """n* at which :meth:`risk` is eps; infinite beyond :data:`MAX_SAMPLES`."""

        def excess(log_n: float) -> float:
            return self.risk(math.exp(log_n), shares) - eps

        low, high = math.log(1e-3), math.log(MAX_SAMPLES)
        if excess(high) > 0:
            return math.inf
        return math.exp(brentq(excess, low, high))
