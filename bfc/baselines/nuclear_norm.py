"""The convex problem that training the quadratic Taylor model with φ'' = 1 solves (derived; numbers
in docs/neural_representations.md): min over symmetric M of (1/n) Σ (h_iᵀM h_i − y_i)² + 4λ (‖M‖_*²
+ (tr M)²). It is the oracle of that learner, free of its optimizer, width and initialisation; the
same class with the Euclidean norm of M is the kernel (h·h')², an exact curve from
``baseline=polynomial``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.baselines.refit import Refit
from bfc.baselines.ridge import is_integer, is_number
from bfc.errors import require
from bfc.types import Target

MOST_WIDTH = 2048


@dataclass(frozen=True)
class NuclearNorm(Refit):
    """Quadratic forms in h with the regulariser that ‖W‖_{2,4}⁴ becomes; ``regularisation`` is λ.
    Accelerated proximal gradient (FISTA, Beck & Teboulle 2009) with restarts (O'Donoghue & Candès
    2015), until the relative duality gap is below ``tolerance`` or after ``iterations`` steps.
    Raises :class:`bfc.errors.UserError` on bad values."""

    identity_name: ClassVar[str] = "bfc.baselines.nuclear_norm.NuclearNorm"

    regularisation_grid: tuple[float, ...] = (1e-4, 1e-3, 1e-2)
    n_ratio: float = 1.2
    n_min: int = 8
    """First n of the grid (every n is fitted anew, which is dear where nothing is learned)."""
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
        require(
            is_integer(self.iterations) and self.iterations >= 1,
            "baseline.iterations",
            self.iterations,
            "an integer >= 1",
        )
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
            target.input_width <= MOST_WIDTH,
            "representation",
            target.input_width,
            f"of at most {MOST_WIDTH} features with baseline=nuclear_norm, whose unknown is a square matrix of that width",
        )

    def predict(self, x: Tensor, y: Tensor, x_test: Tensor, strengths: Sequence[float]) -> Tensor:
        return torch.stack(
            [
                forms(x_test, solve(x, y, decay, self.iterations, self.tolerance))
                for decay in strengths
            ]
        )


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
    ahead, t = m, 1.0
    for k in range(iterations):
        residual = forms(x, ahead) - y
        gradient = (x.mT * (2 / n * residual)) @ x
        gradient.diagonal().add_(8 * decay * ahead.trace())
        new = _shrink(ahead - step * gradient, 4 * decay * step)
        after = (1 + math.sqrt(1 + 4 * t * t)) / 2
        if float(((ahead - new) * (new - m)).sum()) > 0:
            after, ahead = 1.0, new
        else:
            ahead = new + ((t - 1) / after) * (new - m)
        m, t = new, after
        if k % 20 == 19 and _gap(x, y, m, decay) <= tolerance:
            break
    return m


def _smoothness(x: Tensor, decay: float) -> float:
    """Lipschitz constant of the smooth part's gradient: 2 λ_max(A*A)/n + 8 decay D, by power
    iteration, with 2 % added."""
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
    """argmin ½‖Z − M‖_F² + strength ‖Z‖_*²: eigenvalues shrunk by 2 · strength · ‖Z‖_*, found from
    the sorted ones."""
    values, vectors = torch.linalg.eigh(m)
    sizes = values.abs().sort(descending=True).values
    count = torch.arange(1, len(sizes) + 1, dtype=m.dtype, device=m.device)
    thresholds = 2 * strength * sizes.cumsum(0) / (1 + 2 * strength * count)
    kept = sizes > thresholds
    threshold = thresholds[int(kept.sum()) - 1] if bool(kept.any()) else sizes[0]
    return (vectors * (values.sign() * (values.abs() - threshold).clamp(min=0))) @ vectors.mT


def _gap(x: Tensor, y: Tensor, m: Tensor, decay: float) -> float:
    """Duality gap relative to the mean square of y. With p and q the masses of M's positive and
    negative part the regulariser is 8 decay (p² + q²), so the dual value of u (n,) is yᵀu −
    (n/4)|u|² − (g₊² + g₋²)/(32 decay), g± the ends of the spectrum of Σ u_i h_i h_iᵀ; taken at u =
    2r/n, r the residuals, times the best factor."""
    n = len(x)
    residual = y - forms(x, m)
    u = 2 / n * residual
    ends = torch.linalg.eigvalsh((x.mT * u) @ x)[[0, -1]]
    c = float(ends[1].clamp(min=0) ** 2 + (-ends[0]).clamp(min=0) ** 2) / (32 * decay)
    a, b = float(y @ u), n / 4 * float(u @ u)
    dual = a * a / (4 * (b + c)) if a > 0 else 0.0
    return (objective(x, y, m, decay) - dual) / max(float(y.square().mean()), 1e-300)
