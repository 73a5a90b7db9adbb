"""The network itself with random signs on its movement, f_{W⁰+SW}(h) − f_{W⁰}(h).

S = diag(s_r) is drawn once per seed. E_S of the linear term is zero and S leaves the quadratic term
as it is, so training W here approaches training the quadratic Taylor model as m grows (Bai & Lee,
arXiv:1910.01619, section 3; Chen et al., arXiv:2006.13436). :mod:`bfc.probes.movement` measures how
fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc import random
from bfc.learners.taylor import Activation, Taylor, derivative, pre_activations
from bfc.types import Draw, Params, Target


@dataclass(frozen=True)
class CoupledNetwork(Taylor):
    """m^{-1/2} Σ_r a_r [φ((w⁰_r + s_r w_r)·h) − φ(w⁰_r·h)].

    See :class:`bfc.learners.taylor.Taylor`.
    """

    identity_name: ClassVar[str] = "bfc.learners.coupled_network.CoupledNetwork"
    reads_start: ClassVar[bool] = True

    activation: Activation = "relu3"
    width: int = 256

    def init_params(self, target: Target, draw: Draw) -> Params:
        params = super().init_params(target, draw)
        return {**params, "s": signs(draw, self.width, 0).to(params["a"])}

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        moved = pre_activations(params, "W", x)
        start = pre_activations(params, "W0", x)
        after = derivative(self.activation, 0, start + params["s"].unsqueeze(1) * moved)
        return self._sum_units(params, after - derivative(self.activation, 0, start))


def signs(draw: Draw, width: int, number: int) -> Tensor:
    """s_1 ... s_m = ±1 per seed, (R, m) float32; ``number`` counts independent draws."""
    keys = random.keys(draw.seeds, f"init/signs/{number}").unsqueeze(1)
    bits = random.integers(keys, torch.arange(width).unsqueeze(0), torch.tensor(2))
    return 1.0 - 2.0 * bits.float()
