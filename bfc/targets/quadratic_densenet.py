"""The concept class of backward feature correction (Allen-Zhu & Li, arXiv:2001.04413, section 2;
recalled, not checked against the text): a composition of quadratics in which each level squares a
mixture of the previous level and skip links, and the label adds up the levels with coefficients
that fall (the information gap). Every unit and every level is normalised with exact Gaussian
moments where the expansion is affordable, so that level l alone has variance alpha_l^2; beyond
that, and for other input laws, by a quadrature whose standard error is kept with the draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets.inputs import Inputs, Law
from bfc.targets.kernel_bound import kernel_bound
from bfc.targets.level_moments import LevelMoments, Rows, level_moments
from bfc.types import Draw, Target, Theory

PAPER = "Allen-Zhu & Li, arXiv:2001.04413"


@dataclass(frozen=True)
class QuadraticDenseNet(Target):
    """y = sum_l alpha_l (|z_l|^2 - E|z_l|^2) / c_l with c_l the standard deviation of |z_l|^2, x ~
    N(0, I_d) or another law of mean zero and covariance I (:mod:`bfc.targets.inputs`).

    z_l = sqrt(1-rho) A_l u_{l-1} + sqrt(rho/m) sum_{m other links j} B_{l,j} u_j, rows rescaled to
    Var z = 1, where u_0 = x, u_1 = (x^2 - 1)/sqrt 2 and u_j = (z_j^2 - 1) / sd per unit for j >= 2;
    A_l has orthonormal rows (columns where it is wider than the level below), B_l random unit rows.
    A level with one link has no rho.

    Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.targets.quadratic_densenet.QuadraticDenseNet"
    version: ClassVar[int] = 1

    d: int
    """Input dimension."""
    L: int = 3
    """Depth: levels 2..L."""
    widths: tuple[int, ...] | None = None
    """k_2..k_L; null: max(2, 6 - l). With ``width_power`` the factors of the powers of d; null: 1.
    """
    width_power: tuple[float, ...] | None = None
    """p_2..p_L of widths that grow with d, k_l = round(widths_l d^p_l), at least 1; null: widths
    are constant."""
    alpha: tuple[float, ...] | None = None
    """alpha_2..alpha_L, coefficients; null: gamma^(l-2)."""
    gamma: float | None = 0.5
    """Information gap alpha_{l+1} / alpha_l; used where alpha is null."""
    rho: float = 0.5
    """Share of a unit's variance that skip links carry before rescaling."""
    base: Literal["x", "x_squared"] = "x"
    """What level 2 acts on: x (degree 2^(L-1)) or x^2 - 1, the paper's form (degree 2^L)."""
    links: Literal["chain", "skip", "dense"] | tuple[tuple[int, ...], ...] = "skip"
    """J_l, the levels that level l reads (0: x, 1: x^2 - 1): chain {l-1}; skip {l-1, 0}; dense {all
    below}; or a list per level 2..L."""
    law: Law = "gaussian"
    """Of the inputs: ``gaussian``, ``uniform``, ``sign``, ``laplace``, ``exponential`` or a mixture
    of skewed Gaussians."""
    quadrature: int = 1 << 20
    """Monte-Carlo nodes for the constants where the exact expansion is too large."""

    def __post_init__(self) -> None:
        require(1 <= self.d <= 1 << 20, "target.d", self.d, "an integer from 1 to 1048576")
        require(2 <= self.L <= 8, "target.L", self.L, "an integer from 2 to 8")
        levels = self.L - 1
        if self.width_power is not None:
            self._resolve_widths(levels)
        if self.widths is None:
            object.__setattr__(
                self, "widths", tuple(min(self.d, max(2, 6 - level)) for level in self.levels)
            )
        require(
            len(self.widths) == levels,
            "target.widths",
            list(self.widths),
            f"a list of L-1 = {levels} integers (k_2..k_{self.L})",
        )
        require(
            all(k >= 1 for k in self.widths), "target.widths", list(self.widths), "integers >= 1"
        )
        if self.alpha is None:
            require(
                self.gamma is not None and 0 < self.gamma < float("inf"),
                "target.gamma",
                self.gamma,
                "a number > 0",
            )
            object.__setattr__(self, "alpha", tuple(float(self.gamma) ** i for i in range(levels)))
        object.__setattr__(self, "gamma", None)
        require(
            len(self.alpha) == levels,
            "target.alpha",
            list(self.alpha),
            f"a list of L-1 = {levels} numbers (alpha_2..alpha_{self.L})",
        )
        require(
            all(0 < a < float("inf") for a in self.alpha),
            "target.alpha",
            list(self.alpha),
            "finite numbers > 0",
        )
        require(0 <= self.rho < 1, "target.rho", self.rho, "a number in [0, 1)")
        require(
            self.widths[0] <= self.d,
            "target.widths",
            list(self.widths),
            f"such that k_2 <= target.d = {self.d}",
        )
        require(
            self.quadrature >= 1 << 12, "target.quadrature", self.quadrature, "an integer >= 4096"
        )
        require(
            self.law != "sign" or self.base == "x",
            "target.law",
            self.law,
            "another law with target.base=x_squared: x^2 - 1 is zero",
        )
        if not isinstance(self.links, str):
            object.__setattr__(self, "links", tuple(tuple(sorted(set(j))) for j in self.links))
            require(
                len(self.links) == levels,
                "target.links",
                self._shown_links,
                f"a list of L-1 = {levels} lists",
            )
            for level, below in zip(self.levels, self.links, strict=True):
                previous = self._previous(level)
                allowed = {0, 1, *range(2, level)}
                require(
                    previous in below and set(below) <= allowed,
                    "target.links",
                    self._shown_links,
                    f"such that level {level} reads {previous} and only levels from {sorted(allowed)}",
                )

    def _resolve_widths(self, levels: int) -> None:
        """Powers of d made numbers, so that a target is the same however its widths are written."""
        powers, factors = self.width_power, self.widths or (1,) * levels
        require(
            len(powers) == levels and all(-8 <= p <= 1 for p in powers),
            "target.width_power",
            list(powers),
            f"a list of L-1 = {levels} numbers from -8 to 1 (of k_2..k_{self.L})",
        )
        require(
            len(factors) == levels,
            "target.widths",
            list(factors),
            f"a list of L-1 = {levels} integers, factors of d^width_power",
        )
        grown = (
            max(1, round(c * self.d**p)) if c >= 1 else c
            for c, p in zip(factors, powers, strict=True)
        )
        object.__setattr__(self, "widths", tuple(grown))
        object.__setattr__(self, "width_power", None)

    @property
    def _shown_links(self) -> list[list[int]]:
        return [list(below) for below in self.links]

    def _previous(self, level: int) -> int:
        return level - 1 if level > 2 else (0 if self.base == "x" else 1)

    def below(self, level: int) -> tuple[int, ...]:
        """J_l: the levels that ``level`` reads, the one right below it first."""
        previous = self._previous(level)
        if isinstance(self.links, str):
            sources = {
                "chain": {previous},
                "skip": {previous, 0},
                "dense": {0, previous, *range(2, level)},
            }[self.links]
            if self.links == "dense" and self.base == "x_squared":
                sources = sources | {1}
        else:
            sources = set(self.links[level - 2])
        return (previous, *sorted(sources - {previous}))

    @property
    def levels(self) -> tuple[int, ...]:
        return tuple(range(2, self.L + 1))

    @property
    def degree(self) -> int:
        return self._order(2)

    @property
    def kernel_order(self) -> int:
        """q of the lower bound on kernels: the number of different coordinates in a product of the
        label, where x^2 - 1 counts once; equal to the degree unless x_squared is read."""
        return self._order(1)

    def _order(self, of_squares: int) -> int:
        of = {0: 1, 1: of_squares}
        for level in self.levels:
            of[level] = 2 * max(of[j] for j in self.below(level))
        return of[self.L]

    def width(self, level: int) -> int:
        """Number of coordinates of u_level."""
        return self.d if level < 2 else self.widths[level - 2]

    def theory(self) -> Mapping[str, Theory]:
        return {
            "hierarchical": Theory(
                1.0, "rate", "parameter counting: k_2 d unknowns; the paper proves poly(d) only"
            ),
            "kernel": Theory(
                float(self.kernel_order),
                "lower",
                f"{PAPER}, lower bounds (recalled): N >= C(d, q) / 1000 for a risk of "
                "alpha_L^2 / (100 Var f*)",
                kernel_bound(self.d, self.kernel_order),
            ),
        }

    @property
    def gaps(self) -> dict[int, float]:
        return dict(zip(self.levels, (*(a**2 for a in self.alpha[1:]), 0.0), strict=True))

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> QuadraticDraw:
        """One realisation per seed: weights from the streams ``target/...``, constants from
        :func:`level_moments`."""
        rows = self._rows(seeds)
        moments = level_moments(self, seeds, rows)
        cast = {"dtype": dtype, "device": device}
        scale = torch.tensor(self.alpha, dtype=torch.float64) / moments.level_sd
        return QuadraticDraw(
            target=self,
            seeds=tuple(seeds),
            law=Inputs(self.law, tuple(seeds), self.d, dtype, torch.device(device)),
            moments=moments,
            weights={
                l: {j: w.to(**cast) for j, w in parts.items()} for l, parts in moments.rows.items()
            },
            unit_sd={l: sd.to(**cast) for l, sd in moments.unit_sd.items()},
            scale=scale.to(**cast),
        )

    def _rows(self, seeds: Sequence[int]) -> Rows:
        """Rows before rescaling to unit variance: level → source → (R, k_level, width of source),
        float64."""
        rows: Rows = {}
        for level in self.levels:
            first, *others = self.below(level)
            rows[level] = {}
            for j in (first, *others):
                shape = (self.width(level), self.width(j))
                w = random.normal(seeds, f"target/{self.d}/{level}/{j}", shape, torch.float64)
                if j == first:
                    w = torch.linalg.qr(w.mT if shape[0] <= shape[1] else w)[0]
                    w = w.mT if shape[0] <= shape[1] else w
                    share = 1 - self.rho if others else 1.0
                else:
                    w = w / w.norm(dim=-1, keepdim=True)
                    share = self.rho / len(others)
                rows[level][j] = w * share**0.5
        return rows


@dataclass(frozen=True)
class QuadraticDraw(Draw):
    """R realisations of a :class:`QuadraticDenseNet`; see :class:`bfc.types.Draw`."""

    target: QuadraticDenseNet
    seeds: tuple[int, ...]
    law: Inputs
    moments: LevelMoments
    weights: dict[int, dict[int, Tensor]]
    """Rescaled rows: level → source → (R, k_level, width of source)."""
    unit_sd: dict[int, Tensor]
    """Standard deviation of z_l^2 per unit, (R, k_l)."""
    scale: Tensor
    """alpha_l / c_l, (R, L-1)."""

    @property
    def variance(self) -> Tensor:
        return self.moments.variance

    @property
    def variance_error(self) -> Tensor:
        return self.moments.variance_error

    @property
    def revealed(self) -> dict[str, Tensor]:
        return {"scale": self.scale}

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        return self.law.rows(role, rows)

    def features(self, x: Tensor) -> dict[int, Tensor]:
        u = {0: x, 1: (x * x - 1) * 0.5**0.5}
        z: dict[int, Tensor] = {}
        for level, parts in self.weights.items():
            z[level] = sum(torch.bmm(u[j], w.mT) for j, w in parts.items())
            u[level] = (z[level] ** 2 - 1) / self.unit_sd[level].unsqueeze(1)
        return z

    def labels(self, x: Tensor) -> Tensor:
        y = torch.zeros(x.shape[:2], dtype=x.dtype, device=x.device)
        for i, z in enumerate(self.features(x).values()):
            y += self.scale[:, i : i + 1] * ((z * z).sum(-1) - z.shape[-1])
        return y

    def select(self, index: Sequence[int]) -> QuadraticDraw:
        i = torch.as_tensor(index, device=self.scale.device)
        return replace(
            self,
            seeds=tuple(self.seeds[j] for j in index),
            moments=self.moments.select(index),
            law=self.law.select(index),
            weights={l: {j: w[i] for j, w in parts.items()} for l, parts in self.weights.items()},
            unit_sd={l: sd[i] for l, sd in self.unit_sd.items()},
            scale=self.scale[i],
        )
