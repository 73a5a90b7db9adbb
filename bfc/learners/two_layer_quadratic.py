"""The two-layer quadratic network, the shallow relative of the hierarchical learner.

It is one of the "simpler algorithms" that arXiv:2001.04413 sets against it. It is trained like the
others and can represent any polynomial of degree 2, hence its floor on a target of higher degree is
the share of the variance above degree 2, whatever its width and the number of samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bfc.errors import require
from bfc.learners.initialiser import Initialiser
from bfc.matmul import matmul
from bfc.types import Draw, Learner, Params, Target


@dataclass(frozen=True)
class TwoLayerQuadratic(Learner):
    """g(x) = bias + v·x + Σ_m a_m ((w_m·x)² − its mean), m = 1 … ``width``, everything trained.

    Squares are centred like those of
    :class:`bfc.learners.quadratic_densenet.QuadraticDenseNet`. Groups: ``bias``, ``level2`` (w, a,
    v): every schedule over levels is one phase. Initially w ~ N(0, init² / fan_in),
    a = ± 1/√(2 width) in turn, v = 0.
    """

    identity_name: ClassVar[str] = "bfc.learners.two_layer_quadratic.TwoLayerQuadratic"
    version: ClassVar[int] = 1
    needs_reference: ClassVar[bool] = True

    width: int = 64
    init: float = 0.5
    """Standard deviation of an initial weight times sqrt(fan_in)."""

    def __post_init__(self) -> None:
        valid_width = 1 <= self.width <= 1 << 20
        require(valid_width, "learner.width", self.width, "an integer from 1 to 1048576")
        require(0 < self.init < float("inf"), "learner.init", self.init, "a number > 0")

    def check(self, target: Target) -> None:
        """Accept every target and representation."""

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        """Accept every set of groups: each makes a network."""

    def levels(self, target: Target) -> tuple[int, ...]:
        return (2,)

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        return {"bias": ("bias",), "level2": ("W", "a", "v")}

    def init_params(self, target: Target, draw: Draw) -> Params:
        initial = Initialiser.like_inputs(draw)
        fan_in = target.input_width
        signs = [1.0 if m % 2 == 0 else -1.0 for m in range(self.width)]
        return {
            "bias": initial.zeros(1),
            "v": initial.zeros(fan_in),
            "W": initial.normal("W", self.width, fan_in) * (self.init / fan_in**0.5),
            "a": initial.repeat(signs) * (2 * self.width) ** -0.5,
        }

    def statistics(self, params: Params, x: Tensor, present: frozenset[str]) -> dict[str, Tensor]:
        if "level2" not in present:
            return {}
        return {"squares": self._squares(params, x).mean(2, keepdim=True)}

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        out = params["bias"].expand(-1, x.shape[1])
        if "level2" not in present:
            return out
        squares = self._squares(params, x)
        mean = squares.mean(2, keepdim=True) if statistics is None else statistics["squares"]
        linear = (x @ params["v"].unsqueeze(2)).squeeze(2)
        quadratic = (params["a"].unsqueeze(2) * (squares - mean)).sum(1)
        return out + linear + quadratic

    @staticmethod
    def _squares(params: Params, x: Tensor) -> Tensor:
        """(w_m·x)², (R, width, B)."""
        return matmul(params["W"], x.mT).square()
