"""What the models around initialisation share: a two-layer network of which the movement trains.

f_W(h) = m^{-1/2} Σ_r a_r φ((w⁰_r + w_r)·h) with fixed random w⁰ and fixed signs a. Its first- and
second-order terms in the movement W are learners of their own (:mod:`bfc.learners.ntk_model`,
:mod:`bfc.learners.quadratic_taylor`), its whole with random signs on W the coupled network
(:mod:`bfc.learners.coupled_network`). Sources: Bai & Lee, arXiv:1910.01619; Chen et al.,
arXiv:2006.13436, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.learners.initialiser import Initialiser
from bfc.matmul import matmul
from bfc.types import Draw, Learner, Params, Target

Activation = Literal["square", "relu2", "relu3"]


def derivative(activation: Activation, order: int, z: Tensor) -> Tensor:
    """φ, φ' or φ'' (order 0, 1, 2) at z.

    φ = z²/2 (``square``), max(z, 0)²/2 (``relu2``) or max(z, 0)³/6 (``relu3``).
    """
    degree = (3 if activation == "relu3" else 2) - order
    if activation == "relu2" and order == 2:
        return (z >= 0).to(z.dtype)
    base = z if activation == "square" else z.relu()
    if degree == 0:
        return torch.ones_like(z)
    return base if degree == 1 else base.pow(degree) / (2 if degree == 2 else 6)


@dataclass(frozen=True)
class Taylor(Learner):
    """Base of the models around initialisation.

    w⁰_r ~ N(0, I/D), so that w⁰·h has variance about 1 for features with E|h|² = D; a_r = +1 for
    the first half of the units, −1 for the others; the movement starts at N(0, init²) per entry.
    Group ``level2``: W (R, m, D). Penalty ‖W‖_{2,4}⁴ = Σ_r |w_r|⁴ with the coefficient ``decay``,
    always on. Raises :class:`bfc.errors.UserError` on bad values.
    """

    version: ClassVar[int] = 1
    needs_reference: ClassVar[bool] = False
    reads_start: ClassVar[bool] = False
    """Whether w⁰ is read with every φ, that is with φ'' = 1 too."""

    width: int = 32
    """m, even."""
    activation: Activation = "square"
    """φ: square (φ'' = 1), relu2 (φ'' = indicator) or relu3 (φ'' = ReLU)."""
    init: float = 0.05
    """Standard deviation of the entries of W at the start; 0 is an exact saddle of the quadratic
    model."""
    decay: float = 0.001
    """λ of λ ‖W‖_{2,4}⁴."""

    def __post_init__(self) -> None:
        valid_width = 2 <= self.width <= 1 << 22 and self.width % 2 == 0
        require(valid_width, "learner.width", self.width, "an even integer from 2 to 4194304")
        allowed = "a number > 0 and < 1000 (0 is a saddle)"
        require(0 < self.init < 1e3, "learner.init", self.init, allowed)
        require(0 <= self.decay < 1e6, "learner.decay", self.decay, "a number >= 0 and < 1e6")

    def check(self, target: Target) -> None:
        """Refuse raw inputs that do not have the scale that w⁰ presumes.

        These models have no biases and are homogeneous in h. Representations have that scale by
        construction.
        """
        if target.input_width != target.d:
            return
        x = target.draw([0]).inputs("reference", torch.arange(256).unsqueeze(0))
        size = float(x.square().mean())
        if not 0.5 < size < 2:
            name = type(self).__module__.rpartition(".")[2]
            raise UserError(
                f"learner={name}: needs inputs of mean square 1 per coordinate, and those of "
                f"{type(target).__name__} have {size:.2g}; allowed: target=low_rank, "
                "quadratic_feature and the like, or representation=random_features"
            )

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        """Accept every set of groups: there is one, and nothing it reads."""

    def levels(self, target: Target) -> tuple[int, ...]:
        return (2,)

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        return {"level2": ("W",)}

    def init_params(self, target: Target, draw: Draw) -> Params:
        initial, m, width = Initialiser.like_inputs(draw), self.width, target.input_width
        signs = initial.ones(m)
        signs[:, m // 2 :] = -1
        params = {"W": self.init * initial.normal("W", m, width), "a": signs}
        if self.activation != "square" or self.reads_start:
            params["W0"] = initial.normal("W0", m, width) / width**0.5
        return params

    def penalty(
        self, params: Params, present: frozenset[str], weights: Mapping[str, float]
    ) -> Tensor | None:
        return self.decay * norm24(params["W"]) if self.decay else None

    @staticmethod
    def _sum_units(params: Params, units: Tensor) -> Tensor:
        """m^{-1/2} Σ_r a_r units_r, (R, B, m) → (R, B)."""
        a = params["a"].unsqueeze(2)
        out: Tensor = torch.bmm(units, a).squeeze(2) / units.shape[2] ** 0.5
        return out


def pre_activations(params: Params, name: str, x: Tensor) -> Tensor:
    """w_r·h of the movement (``W``) or of the start (``W0``), (R, B, m)."""
    return matmul(x, params[name].mT)


def norm24(w: Tensor) -> Tensor:
    """‖W‖_{2,4}⁴ = Σ_r |w_r|⁴, (R, m, D) → (R,)."""
    return w.square().sum(2).square().sum(1)
