"""The linear model at finite width: the neural tangent features of the first layer.

f^L_W(h) = m^{-1/2} Σ_r a_r φ'(w⁰_r·h) (w_r·h). Its infinite-width limit is the kernel of
:mod:`bfc.baselines.relu_power`; this one is trained by the same optimizer as the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bfc.learners.taylor import Activation, Taylor, derivative, pre_activations
from bfc.types import Params


@dataclass(frozen=True)
class NTKModel(Taylor):
    """Linear in W; see :class:`bfc.learners.taylor.Taylor`."""

    identity_name: ClassVar[str] = "bfc.learners.ntk_model.NTKModel"
    reads_start: ClassVar[bool] = True

    activation: Activation = "relu3"
    width: int = 1024
    decay: float = 0.0

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        moved = pre_activations(params, "W", x)
        start = pre_activations(params, "W0", x)
        return self._sum_units(params, moved * derivative(self.activation, 1, start))
