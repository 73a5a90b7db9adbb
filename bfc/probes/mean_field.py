"""The quantities in which the analysis of the three-layer mean-field network is stated (Ren, Zhou &
Ge, arXiv:2304.01063): the scale α of its feature, how well the feature is the norm, the place and
the spread of the second-layer neurons, and the decomposition of the loss into the error of the same
network with a perfect first layer, the discretisation error and their cross term."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.learners.mean_field import MeanField
from bfc.probes.radial import RadialProbe
from bfc.types import Draw, Learner, Params, Target


@dataclass(frozen=True)
class MeanFieldProbe(RadialProbe):
    """With F the feature, F~ = α‖x‖ and f~ the network on F~ (all errors over Var f*):

    ``loss`` E(f − f*)² = ``perfect`` E(f~ − f*)² + ``discretisation`` E(f − f~)² + ``cross`` 2E(f~
    − f*)(f − f~); ``alpha`` = C_d E‖w‖²; ``norm_sd``: sd(F/‖x‖) / mean(F/‖x‖); ``norm_r2``: squared
    correlation of F and ‖x‖; ``w2``, ``b2`` and ``w2_sd``, ``b2_sd``: mean and standard deviation
    over second-layer neurons; ``slope`` −w2 α and ``kink`` −b2/(w2 α) of their mean, both 1 for the
    hinge (NaN with output signs). ``neuron/<j>/w2`` and ``/b2``: the first ``neurons`` of them.
    Beside these the radial probe's."""

    identity_name: ClassVar[str] = "bfc.probes.mean_field.MeanFieldProbe"
    version: ClassVar[int] = 1

    neurons: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            0 <= self.neurons <= 4096, "probe.neurons", self.neurons, "an integer from 0 to 4096"
        )

    def check(self, target: Target, learner: Learner) -> None:
        super().check(target, learner)
        if not isinstance(learner, MeanField):
            raise UserError(
                f"probe=mean_field: needs learner=mean_field, not {type(learner).__name__}; set probe=radial or none"
            )

    def measure(
        self,
        target: Target,
        draw: Draw,
        learner: MeanField,
        params: Params,
        present: frozenset[str],
    ) -> dict[str, Tensor]:
        x = draw.inputs("probe", torch.arange(self.rows).expand(len(draw.seeds), -1))
        r, feature, truth = x.norm(dim=2), learner.feature(params, x), draw.labels(x).double()
        alpha = learner.scale(params, target.d)
        out, perfect = (
            learner.top(params, value).double() for value in (feature, alpha.unsqueeze(1) * r)
        )
        chance, ratio = draw.variance.to(out.device), (feature / r).double()
        w2, b2 = params["w2"].double(), params["b2"].double()
        nan = torch.full_like(chance, float("nan"))
        slope = nan if learner.signed else -w2.mean(1) * alpha.double()
        found = {
            "loss": (out - truth).square().mean(1) / chance,
            "perfect": (perfect - truth).square().mean(1) / chance,
            "discretisation": (out - perfect).square().mean(1) / chance,
            "cross": 2 * ((perfect - truth) * (out - perfect)).mean(1) / chance,
            "alpha": alpha.double(),
            "norm_sd": ratio.std(1) / ratio.mean(1),
            "norm_r2": _correlation(feature.double(), r.double()).square(),
            "w2": w2.mean(1),
            "w2_sd": w2.std(1),
            "b2": b2.mean(1),
            "b2_sd": b2.std(1),
            "slope": slope,
            "kink": b2.mean(1) / slope,
        }
        for j in range(min(self.neurons, learner.m2)):
            found |= {f"neuron/{j}/w2": w2[:, j], f"neuron/{j}/b2": b2[:, j]}
        return {name: value.cpu() for name, value in found.items()} | super().measure(
            target, draw, learner, params, present
        )


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Over the rows of (R, B), (R,)."""
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
