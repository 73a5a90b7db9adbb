"""Expectations under an input law by quadrature, each with a standard error.

The constants of a target whose exact expansion is too large, or whose inputs are not Gaussian, are
measured with these nodes. A plain sample is not enough: at degree 16 and above it misses the rare
large |x| that dominate the variance, and underestimates its own error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from scipy import special
from torch import Tensor

from bfc import random
from bfc.targets.inputs import Inputs, Mixture, ProductLaw, skew_normals, transform_normals

STREAM = "target/quadrature"


@dataclass(frozen=True)
class Nodes:
    """Quadrature nodes in groups that are independent of each other.

    The mean over groups of the weighted sum within a group estimates an expectation, and the
    scatter of these sums its error.
    """

    x: Tensor
    """Nodes, (groups · m, r)."""
    weights: Tensor
    """(groups, m) or (m,); the mean over groups of the sum within a group is one."""

    def mean(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Expectation (k,) of the columns of ``values`` (groups · m, k), and its standard error."""
        m = self.weights.shape[-1]
        pattern = "gmk,m->gk" if self.weights.dim() == 1 else "gmk,gm->gk"
        sums = torch.einsum(pattern, values.view(-1, m, values.shape[1]), self.weights)
        return sums.mean(0), sums.std(0) / len(sums) ** 0.5


def nodes(inputs: Inputs, basis: Tensor, degree: int, max_nodes: int) -> Nodes:
    """About ``max_nodes`` nodes at most for the law of the first seed.

    They are in the orthonormal coordinates ``basis`` (r, d) and are meant for squares of
    polynomials of this degree. Under ``gaussian`` r may be below d, otherwise ``basis`` is the
    identity.

    ``gaussian`` and mixtures: random directions with an exact rule over the radius
    (:func:`_gaussian_nodes`, :func:`_mixture_nodes`). ``laplace`` and ``exponential``: importance
    sampling (:func:`_heavy_tail_nodes`). ``uniform`` and ``sign``: a plain sample.
    """
    law = inputs.law
    r = len(basis)
    if isinstance(law, Mixture):
        return _mixture_nodes(law, inputs, r, degree, max_nodes)
    if law == "gaussian":
        return _gaussian_nodes(inputs, r, degree, max_nodes)
    count = max(2, max_nodes // 2)
    rows = torch.arange(2 * count).view(1, 2, count)
    first = _sample_rows(law, inputs, rows[:, 0], r)
    second = _sample_rows(law, inputs, rows[:, 1], r)
    if law == "uniform" or law == "sign":
        return Nodes(torch.cat([first, second]), torch.ones(1, dtype=torch.float64))
    return _heavy_tail_nodes(law, inputs, first, second, degree)


def _sample_rows(law: ProductLaw, inputs: Inputs, rows: Tensor, r: int) -> Tensor:
    """Rows of the law, (N, r), float64."""
    keys = random.keys(inputs.seeds[:1], STREAM)
    return transform_normals(law, random.normal_rows(keys, rows, r, torch.float64)[0])


def _heavy_tail_nodes(
    law: Literal["laplace", "exponential"], inputs: Inputs, x: Tensor, wide: Tensor, degree: int
) -> Nodes:
    """Pairs of a plain row and one in which a coordinate is ``degree`` times as wide.

    Large values of a polynomial come from one large coordinate. Every node carries its likelihood
    ratio.
    """
    count, r = x.shape
    low = 0.0 if law == "laplace" else 1.0
    rate = math.sqrt(2) if law == "laplace" else 1.0
    keys = random.keys(inputs.seeds[:1], f"{STREAM}/place")
    place = random.integers(keys, torch.arange(count), torch.tensor(r)).unsqueeze(1)
    wide = wide.scatter(1, place, (wide.gather(1, place) + low) * degree - low)
    pairs = torch.stack([x, wide], 1)
    ratio = ((rate * (1 - 1 / degree)) * (pairs + low).abs()).exp_().mean(2) / degree
    return Nodes(pairs.flatten(0, 1), 1 / (1 + ratio))


def _gaussian_nodes(inputs: Inputs, r: int, degree: int, max_nodes: int) -> Nodes:
    """x = ρ u with random directions u and a Gauss–Laguerre rule in ρ²/2, a Gamma variable.

    The rule is exact over ρ, which carries the heavy tail. Directions come with their opposites, so
    that odd powers of ρ cancel.
    """
    radius, weights = _radius_rule(r, degree // 2 + 1)
    u = _directions(inputs, r, max(2, max_nodes // (2 * len(weights))))
    signed = torch.cat([radius, -radius]).view(1, -1, 1)
    return Nodes((u.unsqueeze(1) * signed).flatten(0, 1), weights.repeat(2) / 2)


def _mixture_nodes(law: Mixture, inputs: Inputs, d: int, degree: int, max_nodes: int) -> Nodes:
    """The same for the 2d Gaussian numbers behind a mixture, in every component.

    Odd powers of ρ stay, so the rule has ten nodes more and is exact to rounding in practice.
    """
    radius, weights = _radius_rule(2 * d, degree + 10)
    components = law.components
    count = max(2, max_nodes // (components * len(weights)))
    u = _directions(inputs, 2 * d, count)
    radii = radius.repeat(components).view(1, -1, 1)
    xi = (skew_normals(law, u).unsqueeze(1) * radii).flatten(0, 1)
    component = torch.arange(components).repeat_interleave(len(radius)).repeat(count)
    x = inputs.select([0]).mix(component.unsqueeze(0), xi.unsqueeze(0))[0]
    return Nodes(x, weights.repeat(components) / components)


def _radius_rule(r: int, count: int) -> tuple[Tensor, Tensor]:
    """``count`` nodes and weights for ρ = |g|, g ~ N(0, I_r)."""
    half_squares, weights = special.roots_genlaguerre(count, r / 2 - 1)
    return torch.tensor((2 * half_squares) ** 0.5), torch.tensor(weights / weights.sum())


def _directions(inputs: Inputs, r: int, count: int) -> Tensor:
    """Uniform points of the unit sphere, (count, r), float64."""
    keys = random.keys(inputs.seeds[:1], STREAM)
    u = random.normal_rows(keys, torch.arange(count).unsqueeze(0), r, torch.float64)[0]
    u /= u.norm(dim=1, keepdim=True)
    return u
