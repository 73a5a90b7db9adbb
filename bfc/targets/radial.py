"""Radial targets f*(x) = profile(‖x‖), the family of the depth separations.

A first hidden layer can compute the norm and a second one the profile, whereas a single hidden
layer has to do both at once. The hinge σ(1 − ‖x‖) under the Bessel radius law is the target of
Safran, Eldan & Shamir (arXiv:1904.06984) and of Ren, Zhou & Ge (arXiv:2304.01063); the cosine is of
Eldan & Shamir's oscillating kind, the ball that of Safran & Shamir (2017) and Safran & Lee (2022).
No theorem says that the hinge is exponentially hard in d at a fixed error: its hardness is at
errors that shrink as 1/poly(d) (docs/depth_separation.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets.capabilities import RadialTarget, RevealedMean
from bfc.targets.radius_laws import RadiusLaw, check, radius_law
from bfc.types import Draw

MAX_PERIODS = 1e4
"""Periods of the cosine up to the outer radius, at most."""


@dataclass(frozen=True)
class Radial(RadialTarget):
    """f*(x) = profile(‖x‖) − its mean, x = ‖x‖ times a uniform direction.

    Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.targets.radial.Radial"
    version: ClassVar[int] = 1

    d: int
    """Input dimension."""
    profile: Literal["hinge", "cosine", "ball"] = "hinge"
    """max(1 − r, 0), cos(2π frequency r), or 1 where r ≤ 1."""
    frequency: float = 1.0
    """Periods of the cosine per unit of radius."""
    law: Literal["bessel", "limit", "uniform"] = "bessel"
    """Law of the radius, see :mod:`bfc.targets.radius_laws`.

    The Bessel law of dimension d, its limit as d grows, or uniform on [inner, outer] (a shell where
    inner > 0)."""
    edge_ratio: float = 2.0
    """K, the radius 1 over the inner edge of the Bessel law.

    The constants of its source are K = 4π αβ R_d / √d → 3.04 αβ."""
    inner: float = 0.0
    """Smallest radius of the uniform law."""
    outer: float = 5.0
    """Largest radius; the Bessel law and its limit are cut here and renormalised.

    With K = 2 and outer = 5 this cuts 6 % of the mass, on which f* is 0."""

    def __post_init__(self) -> None:
        check(self.law, self.d, self.edge_ratio, self.inner, self.outer)
        require(
            0 < self.frequency <= 1000,
            "target.frequency",
            self.frequency,
            "a number > 0, at most 1000",
        )
        require(
            self.profile != "cosine" or self._periods <= MAX_PERIODS,
            "target.frequency",
            self.frequency,
            f"at most {MAX_PERIODS / self.outer:g} with target.outer={self.outer:g}, for the sake "
            "of single precision",
        )
        if self._may_be_constant:
            require(
                self.moments[1] > 1e-12,
                "target.profile",
                self.profile,
                "one that varies on the radii of the law, which follow from target.law, "
                "edge_ratio, inner and outer",
            )

    @property
    def _periods(self) -> float:
        """Periods of the cosine up to the outer radius."""
        return self.frequency * self.outer

    @property
    def _may_be_constant(self) -> bool:
        """Whether the variance must be computed to know that it is not zero.

        Under the usual Bessel laws the profile varies, and their table takes seconds.
        """
        usual = self.law == "bessel" and self.edge_ratio >= 1 and self.outer > 1
        return not usual or self._periods < 0.01

    @property
    def levels(self) -> tuple[int, ...]:
        return (2, 3)

    @property
    def degree(self) -> int:
        return 0

    @property
    def radius_law(self) -> RadiusLaw:
        return radius_law(self.law, self.d, self.edge_ratio, self.inner, self.outer)

    def value(self, r: Tensor) -> Tensor:
        """The profile at the radii ``r``, any shape; its mean is not subtracted."""
        if self.profile == "hinge":
            return (1 - r).clamp(min=0)
        if self.profile == "cosine":
            return torch.cos(2 * torch.pi * self.frequency * r)
        return (r <= 1).to(r.dtype)

    @cached_property
    def moments(self) -> tuple[float, float]:
        """Mean and variance of the profile.

        By Gauss-Legendre quadrature over every cell of the law's table, split at r = 1 or, for the
        cosine, at its extrema.
        """
        breaks: tuple[float, ...] = (1.0,)
        if self.profile == "cosine":
            breaks = tuple(np.arange(1, 2 * self._periods) / (2 * self.frequency))
        r, weights = self.radius_law.quadrature(breaks)
        values = self.value(torch.from_numpy(r)).numpy()
        mean = float(weights @ values)
        return mean, float(weights @ (values - mean) ** 2)

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> RadialDraw:
        mean = torch.full((len(seeds), 1), self.moments[0], dtype=dtype, device=device)
        return RadialDraw(self, tuple(seeds), RevealedMean(mean))


@dataclass(frozen=True)
class RadialDraw(Draw):
    """R realisations of a :class:`Radial`; see :class:`bfc.types.Draw`."""

    target: Radial
    seeds: tuple[int, ...]
    revealed: RevealedMean

    @property
    def variance(self) -> Tensor:
        return torch.full((len(self.seeds),), self.target.moments[1], dtype=torch.float64)

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        mean = self.revealed.mean
        d = self.target.d
        rows = rows.to(mean.device)
        keys = random.keys(self.seeds, f"inputs/{d}/{role}", mean.device)
        radius_keys = random.keys(self.seeds, f"radius/{d}/{role}", mean.device)
        u = random.uniform(radius_keys.unsqueeze(1), rows, torch.float64)
        radius = self.target.radius_law.quantile(u)
        return directions(keys, rows, d, mean.dtype) * radius.to(mean.dtype).unsqueeze(2)

    def labels(self, x: Tensor) -> Tensor:
        return self.target.value(x.norm(dim=2)) - self.revealed.mean

    def features(self, x: Tensor) -> dict[int, Tensor]:
        r = x.norm(dim=2, keepdim=True)
        return {2: r, 3: self.target.value(r)}

    def select(self, index: Sequence[int]) -> RadialDraw:
        return replace(
            self,
            seeds=tuple(self.seeds[i] for i in index),
            revealed=self.revealed.select(index),
        )


def directions(keys: Tensor, rows: Tensor, d: int, dtype: torch.dtype) -> Tensor:
    """Uniform points of the unit sphere, ``keys`` (R,), ``rows`` (R, B) → (R, B, d)."""
    x = random.normal_rows(keys, rows, d, dtype)
    return x.div_(x.norm(dim=2, keepdim=True).clamp_(min=torch.finfo(dtype).tiny))
