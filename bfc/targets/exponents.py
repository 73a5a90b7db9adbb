"""Information and generative exponent of a function of a few Gaussian directions.

Both are read off numerically, so that they hold for whatever link is given. The information
exponent (Ben Arous, Gheissari & Jagannath, arXiv:2003.10409) is the lowest degree in the Hermite
expansion of the link; the generative exponent (Damian, Pillaud-Vivien, Lee & Bruna,
arXiv:2403.05529) is the lowest degree that some function of the label correlates with.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod

import torch
from torch import Tensor

Link = Callable[[Tensor], Tensor]
"""(N, k) → (N,): the labels at projections on k directions."""
NODES = {1: 1 << 14, 2: 1 << 9, 3: 1 << 6}
"""Directions → nodes per direction."""
REACH = 8.0
"""The nodes lie between −8 and 8."""
CELLS = 64
"""Intervals of the label, of equal probability, within which it counts as known."""
TOLERANCE = 1e-6
"""Share of variance below which a degree counts as absent."""
MAX_DEGREE = 8


def information_exponent(link: Link, directions: int) -> int | None:
    """The lowest degree k ≥ 1 with E[y He_α(z)] ≠ 0 for some |α| = k.

    None where there is none up to degree 8. ``directions`` is 1, 2 or 3.
    """
    z, weights = _nodes(directions)
    y = link(z)
    y = y - weights @ y
    variance = weights @ y.square()
    for degree in range(1, MAX_DEGREE + 1):
        for basis in _hermite_products(z, degree):
            if (weights @ (y * basis)).square() > TOLERANCE * variance:
                return degree
    return None


def generative_exponent(link: Link, directions: int) -> int | None:
    """The lowest degree k ≥ 1 with E[He_α(z) | y] ≠ 0 for some |α| = k.

    None where there is none up to degree 8. ``directions`` is 1, 2 or 3.
    """
    z, weights = _nodes(directions)
    cell = _label_cells(link(z), weights)
    mass = torch.zeros(CELLS, dtype=z.dtype).index_add(0, cell, weights)
    for degree in range(1, MAX_DEGREE + 1):
        for basis in _hermite_products(z, degree):
            moments = torch.zeros_like(mass).index_add(0, cell, weights * basis)
            if (moments.square() / mass.clamp(min=1e-300)).sum() > TOLERANCE:
                return degree
    return None


def _nodes(directions: int) -> tuple[Tensor, Tensor]:
    """Midpoints, symmetric about 0, and their Gaussian weights: (N, k) and (N,)."""
    count = NODES[directions]
    line = (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) * (2 * REACH / count)
    density = torch.exp(-line.square() / 2)
    density /= density.sum()
    z = torch.cartesian_prod(*[line] * directions).reshape(-1, directions)
    weights = torch.cartesian_prod(*[density] * directions).reshape(-1, directions)
    return z, weights.prod(1)


def _label_cells(y: Tensor, weights: Tensor) -> Tensor:
    """The interval of every label, (N,); equal labels are in the same one."""
    order = y.argsort()
    cumulative = weights[order].cumsum(0)
    levels = torch.arange(1, CELLS, dtype=y.dtype) / CELLS
    edges = y[order][torch.searchsorted(cumulative, levels)]
    return torch.searchsorted(edges, y)


def _hermite_products(z: Tensor, degree: int) -> list[Tensor]:
    """All products of orthonormal Hermite polynomials of this total degree at the rows of z."""
    columns = [hermite_polynomials(column, degree) for column in z.mT]
    products = []
    for exponents in product(range(degree + 1), repeat=len(columns)):
        if sum(exponents) == degree:
            factors = [h[e] for h, e in zip(columns, exponents, strict=True)]
            products.append(prod(factors[1:], start=factors[0]))
    return products


def hermite_polynomials(t: Tensor, degree: int) -> list[Tensor]:
    """He_0/√0! ... He_degree/√degree! at t, each of the shape of t."""
    values = [torch.ones_like(t), t][: degree + 1]
    for k in range(2, degree + 1):
        values.append((t * values[-1] - (k - 1) ** 0.5 * values[-2]) / k**0.5)
    return values
