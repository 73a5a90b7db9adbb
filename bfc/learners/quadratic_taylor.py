"""The quadratic Taylor model, f^Q_W(h) = (1/(2√m)) Σ_r a_r φ''(w⁰_r·h) (w_r·h)².

It is what a wide network becomes when random signs on the movement cancel its linear term (Bai &
Lee, arXiv:1910.01619). With the regulariser λ ‖W‖_{2,4}⁴ (recalled) its complexity is a nuclear
norm where the linear model's is Euclidean; on whitened features that is the separation of Chen et
al. (arXiv:2006.13436).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bfc.learners.taylor import Taylor, derivative, pre_activations
from bfc.types import Params


@dataclass(frozen=True)
class QuadraticTaylor(Taylor):
    """Quadratic in W; see :class:`bfc.learners.taylor.Taylor`.

    With ``activation=square`` f = hᵀMh, M = (1/(2√m)) Σ a_r w_r w_rᵀ, and the smallest ‖W‖_{2,4}⁴
    of a given M with m large is 4 (‖M‖_*² + (tr M)²): the halves of a cannot be shared out by need,
    hence the trace; it vanishes where E f = 0 on whitened h.
    """

    identity_name: ClassVar[str] = "bfc.learners.quadratic_taylor.QuadraticTaylor"

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        units = pre_activations(params, "W", x).square()
        if "W0" in params:
            start = pre_activations(params, "W0", x)
            units = units * derivative(self.activation, 2, start)
        return 0.5 * self._sum_units(params, units)

    @staticmethod
    def matrix(params: Params) -> Tensor:
        """M, (R, D, D), of the model without gates."""
        w, a = params["W"], params["a"]
        m: Tensor = (w * a.unsqueeze(2)).mT @ w / (2 * w.shape[1] ** 0.5)
        return m
