"""The linear model at finite width, f^L_W(h) = m^{-1/2} Σ_r a_r φ'(w⁰_r·h) (w_r·h): the neural
tangent features of the first layer. Its infinite-width limit is the kernel of
:mod:`bfc.baselines.relu_power`; this one is trained by the same optimizer as the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from bfc.learners.taylor import Activation, Taylor, derivative
from bfc.types import Params


@dataclass(frozen=True)
class NTKModel(Taylor):
    """See :class:`bfc.learners.taylor.Taylor`; linear in W."""

    identity_name: ClassVar[str] = "bfc.learners.ntk_model.NTKModel"

    activation: Activation = "relu3"
    width: int = 1024
    decay: float = 0.0
    _needs_start: ClassVar[bool] = True

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        moved, start = self._along(params, x)
        return self._sum(params, moved * derivative(self.activation, 1, start))
