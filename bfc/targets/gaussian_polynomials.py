"""Polynomials of a standard Gaussian vector, with exact mean and variance.

Deep compositions of quadratics have kurtosis in the hundreds, so a Monte-Carlo normaliser from some
thousand draws is tens of per cent off; expanding the composition and changing to the orthonormal
Hermite basis gives the moments to rounding. A polynomial in r variables of total degree <= D is its
coefficient vector in the graded order below, of length C(D + r, r); the order does not depend on D,
so a polynomial of lower degree is a prefix of one of higher degree.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np

MAX_PRODUCT_TERMS = 4_000_000
"""Largest number of coefficient pairs of a product (an index table of 32 MB).

Beyond it callers use quadrature."""
MAX_DEGREE = 170
"""Largest degree whose factorial a float holds."""


def size(r: int, degree: int) -> int:
    """Number of monomials in r variables of total degree <= degree."""
    return math.comb(degree + r, r)


def affordable(r: int, degree: int) -> bool:
    """Whether a polynomial of this degree can be squared within :data:`MAX_PRODUCT_TERMS`.

    The basis of its square is counted too.
    """
    return (
        2 * degree <= MAX_DEGREE
        and size(r, degree) ** 2 <= MAX_PRODUCT_TERMS
        and size(r, 2 * degree) <= MAX_PRODUCT_TERMS // 4
    )


@lru_cache(maxsize=32)
def _suffix_sums(r: int, degree: int) -> np.ndarray:
    """Monomials as weakly decreasing suffix sums s_i = e_i + ... + e_r, in rank order.

    Shape (size, r), int64.
    """
    increasing = list(combinations_with_replacement(range(degree + 1), r))
    sums = np.array(increasing, dtype=np.int64).reshape(-1, r)[:, ::-1]
    return sums[np.argsort(_rank(sums), kind="stable")]


def _exponents(sums: np.ndarray) -> np.ndarray:
    """e_1 ... e_r from suffix sums; shape (size, r), int64."""
    shifted = np.concatenate([sums[:, 1:], np.zeros((len(sums), 1), np.int64)], axis=1)
    return np.asarray(sums - shifted)


@lru_cache(maxsize=64)
def _rank_table(r: int, top: int) -> np.ndarray:
    """Combinatorial number system: entry [i, s] = C(s + r - 1 - i, r - i), shape (r, top + 1).

    The rank of a monomial is sum_i table[i, s_i].
    """
    table = np.zeros((r, top + 1), dtype=np.int64)
    for i in range(r):
        table[i] = [math.comb(s + r - 1 - i, r - i) for s in range(top + 1)]
    return table


def _rank(sums: np.ndarray) -> np.ndarray:
    """Position of monomials (..., r) in the graded order; shape (...), int64."""
    table = _rank_table(sums.shape[-1], int(sums.max(initial=0)))
    rank = np.zeros(sums.shape[:-1], dtype=np.int64)
    for i in range(sums.shape[-1]):
        rank += table[i][sums[..., i]]
    return rank


@lru_cache(maxsize=8)
def _product_ranks(r: int, degree: int) -> np.ndarray:
    """Rank of the product of every pair of monomials of degree <= degree; flat, length size^2."""
    sums = _suffix_sums(r, degree)
    table = _rank_table(r, 2 * degree)
    rank = np.zeros((len(sums), len(sums)), dtype=np.int64)
    for i in range(r):
        rank += table[i][sums[:, None, i] + sums[None, :, i]]
    return rank.ravel()


def square(p: np.ndarray, r: int, degree: int) -> np.ndarray:
    """Coefficients of p^2 (degree 2 * degree) from those of p (degree ``degree``)."""
    ranks = _product_ranks(r, degree)
    return np.bincount(ranks, weights=np.outer(p, p).ravel(), minlength=size(r, 2 * degree))


@lru_cache(maxsize=8)
def _lowerings(r: int, degree: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For every variable, the sparse map x^n -> sum_k n!/(2^k k! (n-2k)!) He_{n-2k}.

    Each is (from, to, factor), in which only the terms k >= 1 are listed.
    """
    sums = _suffix_sums(r, degree)
    exponents = _exponents(sums)
    return [_lower_variable(sums, exponents[:, i], i, degree) for i in range(r)]


def _lower_variable(
    sums: np.ndarray, exponents: np.ndarray, variable: int, degree: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sources = [np.zeros(0, np.int64)]
    goals = [np.zeros(0, np.int64)]
    factors = [np.zeros(0)]
    for k in range(1, degree // 2 + 1):
        rows = np.flatnonzero(exponents >= 2 * k)
        lowered = sums[rows].copy()
        lowered[:, : variable + 1] -= 2 * k
        sources.append(rows)
        goals.append(_rank(lowered) if len(rows) else rows)
        factors.append(_hermite_factors(k, degree)[exponents[rows]])
    return np.concatenate(sources), np.concatenate(goals), np.concatenate(factors)


def _hermite_factors(k: int, degree: int) -> np.ndarray:
    """n!/(2^k k! (n-2k)!) for n = 0 ... degree; zero where n < 2k."""
    factors = np.zeros(degree + 1)
    for n in range(2 * k, degree + 1):
        divisor = 2**k * math.factorial(k) * math.factorial(n - 2 * k)
        factors[n] = math.factorial(n) / divisor
    return factors


def hermite(p: np.ndarray, r: int, degree: int) -> np.ndarray:
    """Coefficients in the orthonormal Hermite basis, in the same order.

    Entry 0 is the mean; the squares of the others add up to the variance.
    """
    h = np.array(p, dtype=np.float64)
    for source, goal, factor in _lowerings(r, degree):
        h = h + np.bincount(goal, weights=h[source] * factor, minlength=len(h))
    return np.asarray(h * _root_factorials(r, degree))


@lru_cache(maxsize=8)
def _root_factorials(r: int, degree: int) -> np.ndarray:
    """sqrt(e_1! ... e_r!) of every monomial, the norm of its Hermite polynomial."""
    table = np.sqrt([float(math.factorial(n)) for n in range(degree + 1)])
    return np.asarray(table[_exponents(_suffix_sums(r, degree))].prod(axis=1))


def mean_and_variance(p: np.ndarray, r: int, degree: int) -> tuple[float, float]:
    """Exact mean and variance of p(x), x ~ N(0, I_r)."""
    h = hermite(p, r, degree)
    return float(h[0]), float(h[1:] @ h[1:])


def quadratic_part(p: np.ndarray, r: int, degree: int) -> np.ndarray:
    """E[p(x) (x x' - I)] for x ~ N(0, I_r), exactly, (r, r).

    These are the coefficients of degree 2 in the Hermite basis, not normalised.
    """
    exponents = _exponents(_suffix_sums(r, 2))
    part = np.zeros((r, r))
    for exponent, coefficient in zip(exponents, hermite(p, r, degree), strict=False):
        if exponent.sum() == 2:
            i, j = exponent.nonzero()[0][[0, -1]]
            part[i, j] = part[j, i] = coefficient * (2**0.5 if i == j else 1.0)
    return part


def linear(a: np.ndarray) -> np.ndarray:
    """The linear form a . x, for a of shape (r,); length r + 1 (degree 1)."""
    r = len(a)
    p = np.zeros(r + 1)
    units = np.tril(np.ones((r, r), np.int64))
    p[_rank(units)] = a
    return p


def add(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Sum of two polynomials in the same variables, of any degrees."""
    if len(p) < len(q):
        p, q = q, p
    total = p.copy()
    total[: len(q)] += q
    return total


def evaluate(p: np.ndarray, x: np.ndarray, degree: int) -> np.ndarray:
    """p at the rows of x, shape (N, r); the plain definition that tests compare against."""
    exponents = _exponents(_suffix_sums(x.shape[1], degree))
    return np.asarray(np.prod(x[:, None, :] ** exponents[None], axis=2) @ p)
