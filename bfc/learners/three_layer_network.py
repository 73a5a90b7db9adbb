"""A three-layer network whose layers train one after another, each at a rate of its own scale.

The layer-wise procedure by which hierarchical targets have been shown to be learned level by level
(Dandi, Pesce, Zdeborova & Krzakala, arXiv:2502.13961; initial values, biases and rates as in their
code IdePHICS/ComputationalDepth). The schedule ``sight`` trains the first layer, then the second,
then the read-out.
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

INITIAL = 0.2
"""Initial size of the second layer, of its biases and of the read-out, relative to the first."""


@dataclass(frozen=True)
class ThreeLayerNetwork(InputWeights):
    """f(x) = c + w_3 · σ(W_2'σ(W_1'x + b_1) + b_2), σ = max(z, 0), with fixed biases b_1, b_2.

    Initial values, independent: W_1 ~ N(0, 1/d), W_2 ~ .2 N(0, 1/p_1), w_3 ~ .2 N(0, 1/p_2),
    b_1 ~ U[−1, 1], b_2 ~ .2 U[−1, 1], c = 0. Groups: ``level2`` (W_1), ``level3`` (W_2),
    ``output`` (w_3), ``bias`` (c); all must be present in every phase. Multipliers of the learning
    rate: √p_1/.2² for W_1, 4√p_2/(.2 p_1) for W_2 (theirs), 1/p_2 for w_3 (here, where gradient
    descent takes the place of their ridge regression).
    """

    identity_name: ClassVar[str] = "bfc.learners.three_layer_network.ThreeLayerNetwork"
    version: ClassVar[int] = 1
    needs_reference: ClassVar[bool] = False
    first_layer: ClassVar[str] = "W1"

    width: int = 512
    """p_1, units of the first hidden layer."""
    upper_width: int = 64
    """p_2, units of the second."""

    def __post_init__(self) -> None:
        for name, value in {"width": self.width, "upper_width": self.upper_width}.items():
            valid = 1 <= value <= 1 << 16
            require(valid, f"learner.{name}", value, "an integer from 1 to 65536")

    def check(self, target: Target) -> None:
        """Accept every target and representation."""

    def levels(self, target: Target) -> tuple[int, ...]:
        return (2, 3)

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        require_groups("three_layer_network", self.groups(target), present)

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        return {"level2": ("W1",), "level3": ("W2",), "output": ("w3",), "bias": ("c",)}

    def rates(self, target: Target) -> Mapping[str, float]:
        first, second = self.width, self.upper_width
        return {
            "W1": first**0.5 / INITIAL**2,
            "W2": 4 * second**0.5 / (INITIAL * first),
            "w3": 1 / second,
        }

    def init_params(self, target: Target, draw: Draw) -> Params:
        initial = Initialiser.like_inputs(draw)
        d, first, second = target.input_width, self.width, self.upper_width
        return {
            "W1": initial.normal("W1", d, first) / d**0.5,
            "b1": initial.symmetric_uniform("b1", first),
            "W2": initial.normal("W2", first, second) * (INITIAL / first**0.5),
            "b2": initial.symmetric_uniform("b2", second) * INITIAL,
            "w3": initial.normal("w3", second) * (INITIAL / second**0.5),
            "c": initial.zeros(1),
        }

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        first = affine(params["b1"].unsqueeze(1), x, params["W1"]).relu()
        second = affine(params["b2"].unsqueeze(1), first, params["W2"]).relu()
        return (second * params["w3"].unsqueeze(1)).sum(2) + params["c"]
