"""Lower bounds on what any two-layer ReLU network, of any width, needs on a radial target.

Averaging such a network over rotations cannot raise its error, leaves its path norm Σ |a_j| ‖w_j‖ =
B √(2πd) as it is, and makes it a combination of radial ridge averages h_b(r) = √(2πd) E (r u_1 −
b)_+ with b >= 0, and a constant (a unit whose bias has the other sign is the mirrored one plus a
constant). So the least norm B that reaches an error is a one-dimensional LASSO, and every direction
ρ gives a certificate: with an error e, |e|² <= N ε Var f*, B >= (⟨ρ, y⟩ − |ρ| √(N ε Var f*)) /
max_b |⟨ρ, h_b⟩|. This is Safran, Eldan & Shamir's statement (arXiv:1904.06984) in norm instead of
width (derived here): bounded in d at a fixed ε, mild in ε at a fixed d, explosive in both.

What is exact: the bound holds for the law whose radius takes the N quantile values, and for offsets
b on a grid of ``checks`` values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize, special

from bfc.errors import UserError, require
from bfc.targets.radial import Radial
from bfc.targets.radius_laws import sphere_constant

Array = NDArray[np.float64]

FIRST_ATOMS = 160
MAX_ROUNDS = 25
GAP = 0.01
"""Relative gap between primal and dual at which the search ends."""


def ridge_averages(r: Array, b: Array, d: float) -> Array:
    """h_b(r) = √(2πd) E (r u_1 − b)_+ for u uniform on the unit sphere of R^d.

    r (N,) > 0, b (M,) >= 0 → (N, M); d = inf gives the limit √(2π) E (r g − b)_+, g standard normal
    and b in units of 1/√d.

    With t = b/r < 1, E (u_1 − t)_+ = C_d (1 − t²)^{(d−1)/2} − (t/2) I_{1−t²}((d−1)/2, 1/2), I the
    regularised incomplete beta function and C_d = Γ(d/2) / (√π Γ((d−1)/2) (d−1)).
    """
    r, b = np.asarray(r, float)[:, None], np.asarray(b, float)[None, :]
    if math.isinf(d):
        t = b / r
        return np.asarray(r * np.exp(-(t**2) / 2) - math.sqrt(2 * math.pi) * b * special.ndtr(-t))
    t = np.minimum(b / r, 1.0)
    rest = 1 - t**2
    power = (d - 1) / 2
    first = sphere_constant(int(d)) * rest**power
    mean = first - t / 2 * special.betainc(power, 0.5, rest)
    return np.asarray(math.sqrt(2 * math.pi * d) * r * np.maximum(mean, 0))


@dataclass(frozen=True)
class Problem:
    """Radii ``r`` (N,) of equal weight, centred target values ``y`` (N,) and offsets ``b`` (M,).

    The first offset is 0; ``d`` may be inf.
    """

    r: Array
    y: Array
    b: Array
    d: float

    @property
    def total(self) -> float:
        """N Var f*."""
        return float(self.y @ self.y)

    @cached_property
    def atoms(self) -> Array:
        """h_b(r) with the mean over r removed, since the constant is free, (N, M)."""
        h = ridge_averages(self.r, self.b, self.d)
        return np.asarray(h - h.mean(0))


@dataclass(frozen=True)
class Certificate:
    """A direction ρ, valid whatever it is.

    ``gain`` is ⟨ρ, y⟩, ``length`` |ρ|, ``reach`` max_b |⟨ρ, h_b⟩|, and ``total`` N Var f*.
    """

    gain: float
    length: float
    reach: float
    total: float

    def norm(self, eps: float) -> float:
        """No two-layer network with a smaller path norm has a relative error of ``eps``."""
        return max(0.0, (self.gain - self.length * math.sqrt(eps * self.total)) / self.reach)

    def error(self, norm: float) -> float:
        """No two-layer network with this path norm has a smaller relative error."""
        return max(0.0, (self.gain - norm * self.reach) / self.length) ** 2 / self.total


@dataclass(frozen=True)
class Floor:
    """Path norm (over √(2πd)) that two-layer networks need for a relative error ``eps``.

    At least ``lower``, which is certified; ``upper`` is enough.
    """

    d: float
    eps: float
    lower: float
    upper: float
    certificate: Certificate

    @property
    def gap(self) -> float:
        """upper / lower − 1."""
        return self.upper / self.lower - 1 if self.lower > 0 else math.inf


def build_problem(
    target: Radial, radii: int = 400, checks: int = 3000, limit: bool = False
) -> Problem:
    """The problem of a radial target: ``radii`` quantiles of its law and ``checks`` offsets.

    Offsets are log-spaced up to the largest radius or, where d is large, to eight standard
    deviations of r u_1. ``limit``: the problem of d → ∞ under the law's limit. Raises
    :class:`bfc.errors.UserError`.
    """
    require(16 <= radii <= 100_000, "radii", radii, "an integer from 16 to 100000")
    require(200 <= checks <= 100_000, "checks", checks, "an integer from 200 to 100000")
    require(
        not limit or target.law != "bessel",
        "law",
        target.law,
        "limit or uniform with d=inf, which the Bessel law has as its limit",
    )
    levels = (torch.arange(radii, dtype=torch.float64) + 0.5) / radii
    quantiles = target.radius_law.quantile(levels)
    values = target.value(quantiles).numpy()
    d, r = (math.inf if limit else target.d), quantiles.numpy()
    unit = 1.0 if limit else 1 / math.sqrt(d)
    largest = float(r.max()) * (8.0 if limit else min(1.0, 8 * unit))
    smallest = 1e-3 * unit * max(float(r.min()), 1e-3)
    offsets = np.concatenate([[0.0], np.geomspace(smallest, largest, checks - 1)])
    return Problem(r, values - values.mean(), offsets, float(d))


def bound_norm(p: Problem, eps: float) -> Floor:
    """The least path norm at a relative error ``eps``, from both sides, by column generation.

    The LASSO is solved on a few offsets, then on those where its residual violates the dual
    constraint as well, until both sides agree to 1 % or 25 rounds are over. Raises
    :class:`bfc.errors.UserError` unless 0 < eps < 1.
    """
    require(0 < eps < 1, "eps", eps, "a number between 0 and 1")
    columns = np.unique(np.linspace(0, len(p.b) - 1, FIRST_ATOMS).astype(int))
    upper, best = math.inf, Certificate(0.0, 1.0, 1.0, p.total)
    for _ in range(MAX_ROUNDS):
        mu, residual = _solve_lasso(p.atoms[:, columns], p.y, eps * p.total)
        upper = min(upper, float(np.abs(mu).sum()))
        correlation = np.abs(residual @ p.atoms)
        certificate = Certificate(
            float(residual @ p.y),
            float(np.linalg.norm(residual)),
            float(correlation.max()),
            p.total,
        )
        best = max(best, certificate, key=lambda candidate: candidate.norm(eps))
        if upper <= (1 + GAP) * best.norm(eps):
            break
        columns = _next_columns(columns, mu, correlation)
    return Floor(p.d, eps, best.norm(eps), upper, best)


def _next_columns(columns: NDArray[np.intp], mu: Array, correlation: Array) -> NDArray[np.intp]:
    """Offsets in use, those where the residual violates the dual constraint, and their neighbours.

    A few more are spread evenly.
    """
    last = len(correlation) - 1
    inner = correlation[1:-1]
    is_peak = (inner >= correlation[:-2]) & (inner >= correlation[2:])
    is_violated = inner > 1.0005 * correlation[columns].max()
    selected = np.concatenate([columns[mu != 0], np.flatnonzero(is_peak & is_violated) + 1])
    neighbours = [np.clip(selected - 1, 0, last), np.clip(selected + 1, 0, last)]
    spread = np.linspace(0, last, FIRST_ATOMS // 3).astype(int)
    return np.unique(np.concatenate([selected, *neighbours, spread]))


def _solve_lasso(h: Array, y: Array, goal: float) -> tuple[Array, Array]:
    """Coefficients (M,) of least ℓ1 norm with |y − h μ|² <= ``goal``, and the residual (N,).

    By bisection over τ: min |y − h μ|² + τ² |μ|_1² is a non-negative least-squares problem in the
    signed parts (LARS, the usual way, stops on these nearly collinear columns below ε = .005).
    """
    scale = np.linalg.norm(h, axis=0).clip(1e-12)
    signed = np.hstack([h / scale, -h / scale])
    weights, count = np.tile(1 / scale, 2), len(scale)
    low, high = 1e-12, 1e2
    solution: tuple[Array, Array] | None = None
    while high / low > 1.001:
        tau = math.sqrt(low * high)
        x, _ = optimize.nnls(np.vstack([signed, tau * weights]), np.append(y, 0.0), maxiter=50_000)
        residual = y - signed @ x
        if residual @ residual <= goal:
            low, solution = tau, ((x[:count] - x[count:]) / scale, residual)
        else:
            high = tau
    if solution is None:
        raise UserError(
            f"eps={goal / float(y @ y)}: must be larger: no combination of the offsets in double "
            "precision reaches it"
        )
    return solution


def certify_norms(p: Problem, levels: Sequence[float]) -> list[Certificate]:
    """Certificates at several errors, from which :func:`bound_error` reads a bound at any norm."""
    return [bound_norm(p, eps).certificate for eps in levels]


def bound_error(norm: float, certificates: Sequence[Certificate]) -> float:
    """The largest lower bound on the relative error of any two-layer network with this path norm.

    ``norm`` is in units of √(2πd).
    """
    return max(certificate.error(norm) for certificate in certificates)
