"""Laws of the radius ‖x‖ of a rotation-invariant input.

The separation of depth 2 from depth 3 is stated for one particular law, whose density is a squared
Bessel function (Eldan & Shamir 2016; Safran, Eldan & Shamir, arXiv:1904.06984). Its limit as d
grows and the uniform laws on which the same targets are easy are here too.

With s proportional to ‖x‖, the Bessel law has the density p(s) = d J_{d/2}(s)²/s on s > 0 (mass 1),
and the distribution function P(s) = J_{d/2}(s)² + 2 Σ_{k≥1} J_{d/2+k}(s)², since J_{μ-1} − J_{μ+1}
= 2 J'_μ makes its derivative telescope. J_{d/2} is negligible below s = d/2: the radius has a sharp
inner edge, which is put at 1/K, so ‖x‖ = 2s/(dK). In the limit K‖x‖ = 1/cos(πu/2), u uniform: the
same heavy tail in every d, with E‖x‖ = ∞, which is why laws are cut at an outer radius.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from scipy import special
from torch import Tensor

from bfc.errors import require

Name = Literal["bessel", "limit", "uniform"]
MAX_D = 1024
NODES_PER_OSCILLATION = 128
"""Nodes of the Bessel law's table for every zero of J_{d/2}.

The table is within 1e-5 of the law (Kolmogorov distance, tested)."""
MIN_NODES = 1 << 14
MAX_NODES = 1 << 22


@dataclass(frozen=True)
class RadiusLaw:
    """A radius with a density on [r_0, r_N], as a table."""

    radii: np.ndarray
    """Nodes (N+1,), float64, increasing; the law is uniform in between."""
    cdf: np.ndarray
    """The distribution function at the nodes (N+1,), float64, increasing."""
    mass: float
    """Probability of these radii before the law was cut at the outer radius."""
    _tensors: dict[str, tuple[Tensor, Tensor]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def quantile(self, u: Tensor) -> Tensor:
        """The radii, float64, at which the distribution function is ``u`` in (0, 1), any shape."""
        radii, cdf = self._on(u.device)
        right = torch.searchsorted(cdf, u.double()).clamp_(1, len(cdf) - 1)
        low, high = cdf[right - 1], cdf[right]
        share = (u - low) / (high - low).clamp(min=1e-300)
        return torch.lerp(radii[right - 1], radii[right], share.clamp_(0, 1))

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """``radii`` and ``cdf`` on a device, copied there once."""
        if str(device) not in self._tensors:
            self._tensors[str(device)] = (
                torch.from_numpy(self.radii).to(device),
                torch.from_numpy(self.cdf).to(device),
            )
        return self._tensors[str(device)]

    def at(self, r: np.ndarray) -> np.ndarray:
        """The distribution function at the radii ``r``."""
        return np.asarray(np.interp(r, self.radii, self.cdf))

    def quadrature(self, breaks: tuple[float, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights that integrate functions smooth between ``breaks`` against the law.

        8 Gauss-Legendre nodes per cell; both of shape (8 cells,).
        """
        inside = [b for b in breaks if self.radii[0] < b < self.radii[-1]]
        radii = np.union1d(self.radii, inside)
        mass = np.diff(self.at(radii))
        half = np.diff(radii)[:, None] / 2
        nodes, weights = np.polynomial.legendre.leggauss(8)
        r = radii[:-1, None] + half * (1 + nodes)
        return r.ravel(), (mass[:, None] * weights / 2).ravel()


def check(
    law: Name, d: int, edge_ratio: float, inner: float, outer: float, key: str = "target"
) -> None:
    """Raise :class:`bfc.errors.UserError` unless these values give a law."""
    require(2 <= d <= MAX_D, f"{key}.d", d, f"an integer from 2 to {MAX_D}")
    require(0.1 <= edge_ratio <= 100, f"{key}.edge_ratio", edge_ratio, "a number from 0.1 to 100")
    require(0 <= inner < 1e6, f"{key}.inner", inner, "a number >= 0")
    require(
        inner < outer <= 1e6,
        f"{key}.outer",
        outer,
        f"a number above {key}.inner = {inner:g}, at most 1e6",
    )
    if law == "uniform":
        return
    require(
        inner == 0,
        f"{key}.inner",
        inner,
        f"0 with {key}.law={law}, which has an inner edge of its own",
    )
    require(
        outer * edge_ratio >= 1.1,
        f"{key}.outer",
        outer,
        f"at least {1.1 / edge_ratio:g} with {key}.edge_ratio={edge_ratio:g}: the law begins at "
        "about 1/edge_ratio",
    )
    if law == "bessel":
        largest = MAX_NODES * 2 * math.pi / (NODES_PER_OSCILLATION * d * edge_ratio)
        require(
            outer <= largest,
            f"{key}.outer",
            outer,
            f"at most {largest:.4g} at this d; {key}.law=limit has no such bound",
        )


@lru_cache(maxsize=32)
def radius_law(law: Name, d: int, edge_ratio: float, inner: float, outer: float) -> RadiusLaw:
    """The law ``law`` cut at ``outer`` and renormalised; see :func:`check` for what is allowed."""
    check(law, d, edge_ratio, inner, outer)
    if law == "uniform":
        return RadiusLaw(np.array([inner, outer]), np.array([0.0, 1.0]), 1.0)
    if law == "limit":
        return _limit_law(edge_ratio, outer)
    return _bessel_law(d, edge_ratio, outer)


def _limit_law(edge_ratio: float, outer: float) -> RadiusLaw:
    cut = 2 / math.pi * math.acos(1 / (edge_ratio * outer))
    u = np.linspace(0.0, 1.0, MIN_NODES + 1) * cut
    return RadiusLaw(1 / (edge_ratio * np.cos(math.pi * u / 2)), u / cut, cut)


def _bessel_law(d: int, edge_ratio: float, outer: float) -> RadiusLaw:
    """By Simpson's rule for the density, from the first node with a mass above 1e-14 on."""
    end = outer * d * edge_ratio / 2
    count = max(MIN_NODES, math.ceil(end / math.pi * NODES_PER_OSCILLATION))
    s = np.linspace(0.0, end, 2 * count + 1)
    density = np.zeros_like(s)
    density[1:] = d * special.jv(d / 2, s[1:]) ** 2 / s[1:]
    simpson = (density[:-2:2] + 4 * density[1::2] + density[2::2]) * (end / count / 6)
    cdf = np.concatenate([[0.0], np.cumsum(simpson)])
    first = max(0, int(np.searchsorted(cdf, 1e-14)) - 1)
    radii = s[2 * first :: 2] * (2 / (d * edge_ratio))
    return RadiusLaw(radii, (cdf[first:] - cdf[first]) / (cdf[-1] - cdf[first]), float(cdf[-1]))


def sphere_constant(d: int) -> float:
    """C_d = E max(u_1, 0) = Γ(d/2) / (2 √π Γ((d+1)/2)) for u uniform on the unit sphere of R^d.

    About 1/√(2πd).
    """
    return math.exp(math.lgamma(d / 2) - math.lgamma((d + 1) / 2)) / (2 * math.sqrt(math.pi))
