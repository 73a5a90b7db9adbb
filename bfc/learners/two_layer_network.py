"""A two-layer ReLU network in mean-field scaling, the learner of theorems about online descent.

How many samples it takes in one pass over fresh data is what leap and information exponents speak
of (Abbe, Boix-Adsera & Misiakiewicz, arXiv:2302.11055). In mean-field scaling neurons move by
amounts that do not depend on their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bfc.errors import require
from bfc.learners.capabilities import InputWeights
from bfc.learners.groups import require_groups
from bfc.learners.initialiser import Initialiser
from bfc.matmul import affine
from bfc.types import Draw, Params, Target


@dataclass(frozen=True)
class TwoLayerNetwork(InputWeights):
    """f(x) = c + Σ_j a_j σ(w_j·x + b_j), σ = max(z, 0), with m = ``width`` neurons.

    Initial values, independent: w ~ N(0, I/d), b ~ U[−1, 1], a ~ N(0, 1)/m, c = 0. Groups:
    ``level2`` (W, b, a) and ``bias`` (c). Multipliers of the learning rate: m for W and b, 1/m for
    a, so that the neurons of a network of any width move alike.
    """

    identity_name: ClassVar[str] = "bfc.learners.two_layer_network.TwoLayerNetwork"
    version: ClassVar[int] = 1
    needs_reference: ClassVar[bool] = False
    first_layer: ClassVar[str] = "W"

    width: int = 256
    """m, the number of neurons."""

    def __post_init__(self) -> None:
        valid = 1 <= self.width <= 1 << 20
        require(valid, "learner.width", self.width, "an integer from 1 to 1048576")

    def check(self, target: Target) -> None:
        """Accept every target and representation."""

    def levels(self, target: Target) -> tuple[int, ...]:
        return (2,)

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        require_groups("two_layer_network", self.groups(target), present)

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        return {"level2": ("W", "b", "a"), "bias": ("c",)}

    def rates(self, target: Target) -> Mapping[str, float]:
        return {"W": self.width, "b": self.width, "a": 1 / self.width}

    def init_params(self, target: Target, draw: Draw) -> Params:
        initial = Initialiser.like_inputs(draw)
        d, m = target.input_width, self.width
        return {
            "W": initial.normal("W", d, m) / d**0.5,
            "b": initial.symmetric_uniform("b", m),
            "a": initial.normal("a", m) / m,
            "c": initial.zeros(1),
        }

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        hidden = affine(params["b"].unsqueeze(1), x, params["W"]).relu()
        return (hidden * params["a"].unsqueeze(1)).sum(2) + params["c"]
