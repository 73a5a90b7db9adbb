"""The quantities in which the analysis of the three-layer mean-field network is stated.

Ren, Zhou & Ge (arXiv:2304.01063): the scale α of its feature, how well the feature is the norm, the
place and the spread of the second-layer neurons, and the decomposition of the loss into the error
of the same network with a perfect first layer, the discretisation error and their cross term.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.learners.mean_field import MeanField
from bfc.probes.common import probe_inputs
from bfc.probes.radial import RadialProbe
from bfc.types import Draw, Learner, Params, Target


@dataclass(frozen=True)
class MeanFieldProbe(RadialProbe):
    """The radial probe's quantities and those of the mean-field analysis.

    With F the feature, F~ = α‖x‖ and f~ the network on F~ (all errors over Var f*): ``loss`` E(f −
    f*)² = ``perfect`` E(f~ − f*)² + ``discretisation`` E(f − f~)² + ``cross`` 2E(f~ − f*)(f − f~);
    ``alpha`` = C_d E‖w‖²; ``norm_sd``: sd(F/‖x‖) / mean(F/‖x‖); ``norm_r2``: squared correlation of
    F and ‖x‖; ``w2``, ``b2`` and ``w2_sd``, ``b2_sd``: mean and standard deviation over
    second-layer neurons; ``slope`` −w2 α and ``kink`` −b2/(w2 α) of their mean, both 1 for the
    hinge (NaN with output signs). ``neuron/<j>/w2`` and ``/b2``: the first ``neurons`` of them.
    """

    identity_name: ClassVar[str] = "bfc.probes.mean_field.MeanFieldProbe"
    version: ClassVar[int] = 1

    neurons: int = 0
    """Second-layer neurons whose values are recorded one by one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        valid_neurons = 0 <= self.neurons <= 4096
        require(valid_neurons, "probe.neurons", self.neurons, "an integer from 0 to 4096")

    def check(self, target: Target, learner: Learner) -> None:
        super().check(target, learner)
        if not isinstance(learner, MeanField):
            raise UserError(
                f"probe=mean_field: needs learner=mean_field, not {type(learner).__name__}; "
                "set probe=radial or none"
            )

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        assert isinstance(learner, MeanField)
        alpha = learner.scale(params, target.d)
        values = {
            **self._decompose_loss(draw, learner, params, alpha),
            **self._describe_neurons(learner, params, alpha),
        }
        radial = super().measure(target, draw, learner, params, present)
        return {name: value.cpu() for name, value in values.items()} | radial

    def _decompose_loss(
        self, draw: Draw, learner: MeanField, params: Params, alpha: Tensor
    ) -> dict[str, Tensor]:
        """The loss, its three parts, and how well the feature is the norm."""
        x = probe_inputs(draw, self.rows)
        r, feature, truth = x.norm(dim=2), learner.feature(params, x), draw.labels(x).double()
        out = learner.top(params, feature).double()
        perfect = learner.top(params, alpha.unsqueeze(1) * r).double()
        chance, ratio = draw.variance.to(out.device), (feature / r).double()
        return {
            "loss": (out - truth).square().mean(1) / chance,
            "perfect": (perfect - truth).square().mean(1) / chance,
            "discretisation": (out - perfect).square().mean(1) / chance,
            "cross": 2 * ((perfect - truth) * (out - perfect)).mean(1) / chance,
            "alpha": alpha.double(),
            "norm_sd": ratio.std(1) / ratio.mean(1),
            "norm_r2": _correlation(feature.double(), r.double()).square(),
        }

    def _describe_neurons(
        self, learner: MeanField, params: Params, alpha: Tensor
    ) -> dict[str, Tensor]:
        """Where the second-layer neurons are."""
        w2, b2 = params["w2"].double(), params["b2"].double()
        slope = -w2.mean(1) * alpha.double()
        if learner.signed:
            slope = torch.full_like(slope, float("nan"))
        values = {
            "w2": w2.mean(1),
            "w2_sd": w2.std(1),
            "b2": b2.mean(1),
            "b2_sd": b2.std(1),
            "slope": slope,
            "kink": b2.mean(1) / slope,
        }
        for j in range(min(self.neurons, learner.m2)):
            values |= {f"neuron/{j}/w2": w2[:, j], f"neuron/{j}/b2": b2[:, j]}
        return values


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Over the rows of (R, B), (R,)."""
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    norms = torch.linalg.vector_norm(a, dim=1) * torch.linalg.vector_norm(b, dim=1)
    correlation: Tensor = (a * b).sum(1) / norms
    return correlation
