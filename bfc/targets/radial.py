"""Radial targets f*(x) = profile(‖x‖), the family of the depth separations: a first hidden layer
can compute the norm, a second one the profile, whereas one hidden layer has to do both at once. The
hinge σ(1 − ‖x‖) under the Bessel radius law is the target of Safran, Eldan & Shamir
(arXiv:1904.06984) and of Ren, Zhou & Ge (arXiv:2304.01063); the cosine is of Eldan & Shamir's
oscillating kind, the ball that of Safran & Shamir (2017) and Safran & Lee (2022). No theorem says
that the hinge is exponentially hard in d at a fixed error: its hardness is at errors that shrink as
1/poly(d) (docs/depth_separation.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets.radius_laws import RadiusLaw, check, radius_law
from bfc.types import Draw, Target

MOST_WAVES = 1e4
"""Periods of the cosine up to the outer radius, at most."""


@dataclass(frozen=True)
class Radial(Target):
    """f*(x) = profile(‖x‖) − its mean, x = ‖x‖ times a uniform direction. Raises
    :class:`bfc.errors.UserError` on bad values."""

    identity_name: ClassVar[str] = "bfc.targets.radial.Radial"
    version: ClassVar[int] = 1

    d: int
    profile: Literal["hinge", "cosine", "ball"] = "hinge"
    """max(1 − r, 0), cos(2π frequency r), or 1 where r ≤ 1."""
    frequency: float = 1.0
    """Periods of the cosine per unit of radius."""
    law: Literal["bessel", "limit", "uniform"] = "bessel"
    """Of the radius, see :mod:`bfc.targets.radius_laws`: the Bessel law of dimension d, its limit
    as d grows, or uniform on [inner, outer] (a shell where inner > 0)."""
    edge_ratio: float = 2.0
    """K, the radius 1 over the inner edge of the Bessel law; the constants of its source are K = 4π
    αβ R_d / √d → 3.04 αβ."""
    inner: float = 0.0
    outer: float = 5.0
    """Bessel law and limit are cut here and renormalised; with K = 2 and outer = 5 this cuts 6 % of
    the mass, on which f* is 0."""

    def __post_init__(self) -> None:
        check(self.law, self.d, self.edge_ratio, self.inner, self.outer)
        require(
            0 < self.frequency <= 1000,
            "target.frequency",
            self.frequency,
            "a number > 0, at most 1000",
        )
        waves = self.frequency * self.outer
        require(
            self.profile != "cosine" or waves <= MOST_WAVES,
            "target.frequency",
            self.frequency,
            f"at most {MOST_WAVES / self.outer:g} with target.outer={self.outer:g}, for the sake of single precision",
        )
        if (
            self.law != "bessel" or self.edge_ratio < 1 or self.outer <= 1 or waves < 0.01
        ):  # elsewhere it varies, and a table takes seconds
            require(
                self.moments[1] > 1e-12,
                "target.profile",
                self.profile,
                "one that varies on the radii of the law, which follow from target.law, edge_ratio, inner and outer",
            )

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
        return (
            torch.cos(2 * torch.pi * self.frequency * r)
            if self.profile == "cosine"
            else (r <= 1).to(r.dtype)
        )

    @cached_property
    def moments(self) -> tuple[float, float]:
        """Mean and variance of the profile, by Gauss-Legendre quadrature over every cell of the
        law's table, split at r = 1 and, for the cosine, at its zeros."""
        turns = (
            np.arange(1, 2 * self.frequency * self.outer) / (2 * self.frequency)
            if self.profile == "cosine"
            else (1.0,)
        )
        r, weights = self.radius_law.quadrature(tuple(turns))
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
        return RadialDraw(self, tuple(seeds), {"mean": mean})


@dataclass(frozen=True)
class RadialDraw(Draw):
    """R realisations of a :class:`Radial`; see :class:`bfc.types.Draw`. ``known["mean"]`` (R, 1):
    the profile's mean, which the labels do not have."""

    target: Radial
    seeds: tuple[int, ...]
    revealed: dict[str, Tensor] = field(default_factory=dict)

    @property
    def variance(self) -> Tensor:
        return torch.full((len(self.seeds),), self.target.moments[1], dtype=torch.float64)

    @property
    def variance_error(self) -> Tensor:
        return torch.zeros(len(self.seeds), dtype=torch.float64)

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        mean, d = self.revealed["mean"], self.target.d
        keys, radius_keys = (
            random.keys(self.seeds, f"{what}/{d}/{role}", mean.device)
            for what in ("inputs", "radius")
        )
        rows = rows.to(mean.device)
        radius = self.target.radius_law.quantile(
            random.uniform(radius_keys.unsqueeze(1), rows, torch.float64)
        )
        return directions(keys, rows, d, mean.dtype) * radius.to(mean.dtype).unsqueeze(2)

    def labels(self, x: Tensor) -> Tensor:
        return self.target.value(x.norm(dim=2)) - self.revealed["mean"]

    def features(self, x: Tensor) -> dict[int, Tensor]:
        r = x.norm(dim=2, keepdim=True)
        return {2: r, 3: self.target.value(r)}

    def select(self, index: Sequence[int]) -> RadialDraw:
        return replace(
            self,
            seeds=tuple(self.seeds[i] for i in index),
            revealed={"mean": self.revealed["mean"][list(index)]},
        )


def directions(keys: Tensor, rows: Tensor, d: int, dtype: torch.dtype) -> Tensor:
    """Uniform points of the unit sphere, ``keys`` (R,), ``rows`` (R, B) → (R, B, d)."""
    x = random.normal_rows(keys, rows, d, dtype)
    return x.div_(x.norm(dim=2, keepdim=True).clamp_(min=torch.finfo(dtype).tiny))
