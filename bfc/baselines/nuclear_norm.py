"""The convex problem that training the quadratic Taylor model with φ'' = 1 solves.

Derived here (numbers in docs/neural_representations.md): min over symmetric M of (1/n) Σ (h_iᵀM h_i
− y_i)² + 4λ (‖M‖_*² + (tr M)²). It is the oracle of that learner, free of its optimizer, width and
initialisation; the same class with the Euclidean norm of M is the kernel (h·h')², an exact curve
from ``baseline=polynomial``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.baselines.checks import check_value, integers_from, is_integer, is_number
from bfc.baselines.refit import Refit
from bfc.errors import require
from bfc.types import Target

MAX_WIDTH = 2048


@dataclass(frozen=True)
class NuclearNorm(Refit):
    """Quadratic forms in h with the regulariser that ‖W‖_{2,4}⁴ becomes; ``regularisation`` is λ.

    Solved by accelerated proximal gradient (FISTA, Beck & Teboulle 2009) with restarts (O'Donoghue
    & Candès 2015), until the relative duality gap is below ``tolerance`` or after ``iterations``
    steps. Raises :class:`bfc.errors.UserError` on invalid values.
    """

    identity_name: ClassVar[str] = "bfc.baselines.nuclear_norm.NuclearNorm"

    regularisation_grid: tuple[float, ...] = (1e-4, 1e-3, 1e-2)
    n_ratio: float = 1.2
    n_min: int = 8
    """First n of the grid: every n is fitted anew, at a high cost where nothing is learned."""
    iterations: int = 2000
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            is_integer(self.n_min) and 2 <= self.n_min < self.n_max,
            "baseline.n_min",
            self.n_min,
            f"an integer from 2 to below baseline.n_max = {self.n_max}",
        )
        check_value("iterations", self.iterations, integers_from(1))
        require(
            is_number(self.tolerance) and 0 < self.tolerance < 1,
            "baseline.tolerance",
            self.tolerance,
            "a number in (0, 1)",
        )

    @property
    def label(self) -> str:
        return "nuclear norm (convex)"

    @property
    def grid(self) -> list[int]:
        """The n at which the curve is read."""
        return [n for n in super().grid if n >= self.n_min]

    def check(self, target: Target) -> None:
        require(
            target.input_width <= MAX_WIDTH,
            "representation",
            target.input_width,
            f"of at most {MAX_WIDTH} features with baseline=nuclear_norm, whose unknown is a "
            "square matrix of that width",
        )

    def predict(self, x: Tensor, y: Tensor, x_test: Tensor, strengths: Sequence[float]) -> Tensor:
        matrices = [solve(x, y, decay, self.iterations, self.tolerance) for decay in strengths]
        return torch.stack([forms(x_test, m) for m in matrices])


def forms(x: Tensor, m: Tensor) -> Tensor:
    """h_iᵀM h_i, (n, D), (D, D) → (n,)."""
    return ((x @ m) * x).sum(1)


def objective(x: Tensor, y: Tensor, m: Tensor, decay: float) -> float:
    """(1/n) Σ (hᵀMh − y)² + 4 decay (‖M‖_*² + (tr M)²)."""
    nuclear = torch.linalg.eigvalsh(m).abs().sum()
    return float((forms(x, m) - y).square().mean() + 4 * decay * (nuclear**2 + m.trace() ** 2))


def solve(
    x: Tensor, y: Tensor, decay: float, iterations: int = 2000, tolerance: float = 1e-5
) -> Tensor:
    """The minimiser M (D, D) of :func:`objective` for ``x`` (n, D), ``y`` (n,), float64.

    Ends at a duality gap below ``tolerance`` times the mean square of y (:func:`_gap`), or after
    ``iterations`` steps.
    """
    n = len(x)
    step = 1 / _smoothness(x, decay)
    m = x.new_zeros(x.shape[1], x.shape[1])
    extrapolated, t = m, 1.0
    for k in range(iterations):
        residual = forms(x, extrapolated) - y
        gradient = (x.mT * (2 / n * residual)) @ x
        gradient.diagonal().add_(8 * decay * extrapolated.trace())
        m_next = _shrink(extrapolated - step * gradient, 4 * decay * step)
        t_next = (1 + math.sqrt(1 + 4 * t * t)) / 2
        if float(((extrapolated - m_next) * (m_next - m)).sum()) > 0:  # restart
            t_next, extrapolated = 1.0, m_next
        else:
            extrapolated = m_next + ((t - 1) / t_next) * (m_next - m)
        m, t = m_next, t_next
        if k % 20 == 19 and _gap(x, y, m, decay) <= tolerance:
            break
    return m


def _smoothness(x: Tensor, decay: float) -> float:
    """Lipschitz constant of the smooth part's gradient: 2 λ_max(A*A)/n + 8 decay D.

    By power iteration, with 2 % added.
    """
    m = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    size = 1.0
    for _ in range(30):
        m = (x.mT * forms(x, m)) @ x
        size = float(m.norm())
        if size == 0:
            break
        m = m / size
    return max(1.02 * 2 / len(x) * size + 8 * decay * x.shape[1], 1e-12)


def _shrink(m: Tensor, strength: float) -> Tensor:
    """argmin ½‖Z − M‖_F² + strength ‖Z‖_*².

    Eigenvalues are shrunk by 2 · strength · ‖Z‖_*, which follows from the sorted ones.
    """
    values, vectors = torch.linalg.eigh(m)
    sizes = values.abs().sort(descending=True).values
    count = torch.arange(1, len(sizes) + 1, dtype=m.dtype, device=m.device)
    thresholds = 2 * strength * sizes.cumsum(0) / (1 + 2 * strength * count)
    nonzero = sizes > thresholds
    threshold = thresholds[int(nonzero.sum()) - 1] if bool(nonzero.any()) else sizes[0]
    shrunk = values.sign() * (values.abs() - threshold).clamp(min=0)
    m_shrunk: Tensor = (vectors * shrunk) @ vectors.mT
    return m_shrunk


def _gap(x: Tensor, y: Tensor, m: Tensor, decay: float) -> float:
    """Duality gap relative to the mean square of y.

    With p and q the masses of M's positive and negative part the regulariser is 8 decay (p² + q²),
    so the dual value of u (n,) is yᵀu − (n/4)|u|² − (g₊² + g₋²)/(32 decay), g± the ends of the
    spectrum of Σ u_i h_i h_iᵀ; taken at u = 2r/n, r the residuals, times the best factor.
    """
    n = len(x)
    residual = y - forms(x, m)
    u = 2 / n * residual
    ends = torch.linalg.eigvalsh((x.mT * u) @ x)[[0, -1]]
    c = float(ends[1].clamp(min=0) ** 2 + (-ends[0]).clamp(min=0) ** 2) / (32 * decay)
    a, b = float(y @ u), n / 4 * float(u @ u)
    dual = a * a / (4 * (b + c)) if a > 0 else 0.0
    return (objective(x, y, m, decay) - dual) / max(float(y.square().mean()), 1e-300)
