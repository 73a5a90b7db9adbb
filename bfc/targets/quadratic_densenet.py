"""The concept class of backward feature correction: a composition of quadratics.

Allen-Zhu & Li (arXiv:2001.04413, section 2; recalled, not checked against the text). Each level
squares a mixture of the previous level and skip links, and the label adds up the levels with
coefficients that fall (the information gap). Every unit and every level is normalised with exact
Gaussian moments where the expansion is affordable, so that level l alone has variance alpha_l^2;
beyond that, and for other input laws, by a quadrature whose standard error is kept with the draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets.capabilities import LevelComposition, RevealedScales
from bfc.targets.inputs import Inputs, Law
from bfc.targets.kernel_bound import kernel_bound
from bfc.targets.level_expansion import StackedRows
from bfc.targets.level_moments import level_moments
from bfc.targets.level_options import (
    Base,
    Links,
    check_alpha,
    check_widths,
    level_below,
    resolve_alpha,
    resolve_links,
    resolve_widths,
    sources_of,
)
from bfc.targets.quadratic_draw import QuadraticDraw
from bfc.types import Theory

PAPER = "Allen-Zhu & Li, arXiv:2001.04413"


@dataclass(frozen=True)
class QuadraticDenseNet(LevelComposition):
    """y = sum_l alpha_l (|z_l|^2 - E|z_l|^2) / c_l, with c_l the standard deviation of |z_l|^2.

    x ~ N(0, I_d) or another law of mean zero and covariance I (:mod:`bfc.targets.inputs`).

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
    """p_2..p_L of widths that grow with d, k_l = round(widths_l d^p_l), at least 1.

    null: widths are constant."""
    alpha: tuple[float, ...] | None = None
    """alpha_2..alpha_L, coefficients; null: gamma^(l-2)."""
    gamma: float | None = 0.5
    """Information gap alpha_{l+1} / alpha_l; used where alpha is null."""
    rho: float = 0.5
    """Share of a unit's variance that skip links carry before rescaling."""
    base: Base = "x"
    """What level 2 acts on: x (degree 2^(L-1)) or x^2 - 1, the paper's form (degree 2^L)."""
    links: Links = "skip"
    """J_l, the levels that level l reads (0: x, 1: x^2 - 1).

    chain {l-1}; skip {l-1, 0}; dense {all below}; or a list per level 2..L."""
    law: Law = "gaussian"
    """Law of the inputs.

    ``gaussian``, ``uniform``, ``sign``, ``laplace``, ``exponential`` or a mixture of skewed
    Gaussians."""
    quadrature: int = 1 << 20
    """Monte-Carlo nodes for the constants where the exact expansion is too large."""

    def __post_init__(self) -> None:
        require(1 <= self.d <= 1 << 20, "target.d", self.d, "an integer from 1 to 1048576")
        require(2 <= self.L <= 8, "target.L", self.L, "an integer from 2 to 8")
        widths = resolve_widths(self.d, self.L, self.widths, self.width_power)
        check_widths(self.L, widths)
        alpha = resolve_alpha(self.L, self.alpha, self.gamma)
        check_alpha(self.L, alpha)
        require(0 <= self.rho < 1, "target.rho", self.rho, "a number in [0, 1)")
        allowed = f"such that k_2 <= target.d = {self.d}"
        require(widths[0] <= self.d, "target.widths", list(widths), allowed)
        require(
            self.quadrature >= 1 << 12, "target.quadrature", self.quadrature, "an integer >= 4096"
        )
        require(
            self.law != "sign" or self.base == "x",
            "target.law",
            self.law,
            "another law with target.base=x_squared: x^2 - 1 is zero",
        )
        object.__setattr__(self, "widths", widths)
        object.__setattr__(self, "width_power", None)
        object.__setattr__(self, "alpha", alpha)
        object.__setattr__(self, "gamma", None)
        object.__setattr__(self, "links", resolve_links(self.L, self.base, self.links))

    @property
    def level_widths(self) -> tuple[int, ...]:
        """k_2..k_L."""
        assert self.widths is not None, "resolved in __post_init__"
        return self.widths

    @property
    def coefficients(self) -> tuple[float, ...]:
        """alpha_2..alpha_L."""
        assert self.alpha is not None, "resolved in __post_init__"
        return self.alpha

    def below(self, level: int) -> tuple[int, ...]:
        """J_l: the levels that ``level`` reads, the one right below it first."""
        previous = level_below(level, self.base)
        others = sources_of(level, self.base, self.links) - {previous}
        return (previous, *sorted(others))

    @property
    def levels(self) -> tuple[int, ...]:
        return tuple(range(2, self.L + 1))

    @property
    def degree(self) -> int:
        return self._order(2)

    @property
    def kernel_order(self) -> int:
        """q of the lower bound on kernels, equal to the degree unless x_squared is read.

        The number of different coordinates in a product of the label, where x^2 - 1 counts once.
        """
        return self._order(1)

    def _order(self, order_of_squares: int) -> int:
        """Order of the label where x has order 1 and x^2 - 1 has ``order_of_squares``."""
        orders = {0: 1, 1: order_of_squares}
        for level in self.levels:
            orders[level] = 2 * max(orders[source] for source in self.below(level))
        return orders[self.L]

    def width(self, level: int) -> int:
        """Number of coordinates of u_level."""
        return self.d if level < 2 else self.level_widths[level - 2]

    def theory(self) -> Mapping[str, Theory]:
        return {
            "hierarchical": Theory(
                1.0,
                "rate",
                "parameter counting: k_2 d unknowns; the paper proves poly(d) only",
                status="heuristic",
            ),
            "kernel": Theory(
                float(self.kernel_order),
                "lower",
                f"{PAPER}, lower bounds (recalled): N >= C(d, q) / 1000 for a risk of "
                "alpha_L^2 / (100 Var f*)",
                kernel_bound(self.d, self.kernel_order),
                status="theorem",
            ),
        }

    @property
    def gaps(self) -> dict[int, float]:
        above = [alpha**2 for alpha in self.coefficients[1:]]
        return dict(zip(self.levels, [*above, 0.0], strict=True))

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> QuadraticDraw:
        """One realisation per seed.

        Weights come from the streams ``target/...``, constants from :func:`level_moments`.
        """
        moments = level_moments(self, seeds, self._draw_rows(seeds))
        weights: StackedRows = {}
        for level, parts in moments.rows.items():
            weights[level] = {source: w.to(device, dtype) for source, w in parts.items()}
        scale = torch.tensor(self.coefficients, dtype=torch.float64) / moments.level_sd
        return QuadraticDraw(
            target=self,
            seeds=tuple(seeds),
            law=Inputs(self.law, tuple(seeds), self.d, dtype, torch.device(device)),
            moments=moments,
            weights=weights,
            unit_sd={level: sd.to(device, dtype) for level, sd in moments.unit_sd.items()},
            revealed=RevealedScales(scale.to(device, dtype)),
        )

    def _draw_rows(self, seeds: Sequence[int]) -> StackedRows:
        """Rows before rescaling to unit variance, float64."""
        rows: StackedRows = {}
        for level in self.levels:
            first, *others = self.below(level)
            first_share = 1 - self.rho if others else 1.0
            rows[level] = {first: self._draw_orthonormal(seeds, level, first) * first_share**0.5}
            for source in others:
                w = self._draw_normal(seeds, level, source)
                w = w / w.norm(dim=-1, keepdim=True)
                rows[level][source] = w * (self.rho / len(others)) ** 0.5
        return rows

    def _draw_normal(self, seeds: Sequence[int], level: int, source: int) -> Tensor:
        """Standard normal numbers (R, k_level, width of ``source``), float64."""
        shape = (self.width(level), self.width(source))
        return random.normal(seeds, f"target/{self.d}/{level}/{source}", shape, torch.float64)

    def _draw_orthonormal(self, seeds: Sequence[int], level: int, source: int) -> Tensor:
        """A_l, (R, k_level, width of ``source``): orthonormal rows, or columns where it is tall."""
        w = self._draw_normal(seeds, level, source)
        wide = self.width(level) <= self.width(source)
        columns: Tensor = torch.linalg.qr(w.mT if wide else w)[0]
        return columns.mT if wide else columns
