"""What a learner of a radial target has become as a function of the radius: its error split into
that of its rotation average and the scatter around it, the learned profile, and the path norm of a
two-layer network, in the units in which the certified floor of :mod:`bfc.bounds.two_layer` says
what that norm can reach."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from bfc import random
from bfc.errors import UserError, require
from bfc.learners.mlp import MLP
from bfc.targets.radial import directions
from bfc.types import Draw, Learner, Params, Probe, Target

COPIES = 8
"""Directions per radius, from which the scatter is estimated without bias."""


@dataclass(frozen=True)
class RadialProbe(Probe):
    """``radial``: E(f̄ − f*)² / Var f*, f̄ the average of f over rotations; ``scatter``: E(f − f̄)²
    / Var f* (both unbiased; they add up to the risk). ``norm``: of a two-layer ReLU network f = c +
    Σ a_j σ(w_j·x + b_j), Σ |a_j| ‖w_j‖ / √(2πd), else NaN. ``profile/<r>``: mean of f over
    directions at the radius r, its own mean restored."""

    identity_name: ClassVar[str] = "bfc.probes.radial.RadialProbe"
    version: ClassVar[int] = 1

    rows: int = 4096
    """Fresh unlabelled inputs, stream ``probe``, in groups of 8 of one radius."""
    num_evals: int = field(default=0, metadata={"identity": "looks"})
    """Looks on the way, see :class:`bfc.types.Probe`."""
    profile: int = 0
    """Radii of the profile, even from 0 to ``reach``; 0: none."""
    reach: float = 2.0

    def __post_init__(self) -> None:
        require(
            64 <= self.rows <= 1 << 24, "probe.rows", self.rows, "an integer from 64 to 16777216"
        )
        require(
            0 <= self.num_evals <= 1000,
            "probe.num_evals",
            self.num_evals,
            "an integer from 0 to 1000",
        )
        require(
            self.profile == 0 or 2 <= self.profile <= 200,
            "probe.profile",
            self.profile,
            "0 or an integer from 2 to 200",
        )
        require(0 < self.reach < 1e6, "probe.reach", self.reach, "a number > 0")

    def check(self, target: Target, learner: Learner) -> None:
        if not hasattr(target, "radius_law"):
            raise UserError(
                f"probe: needs a radial target, not {type(target).__name__}; set probe=none"
            )

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        replicas, groups = len(draw.seeds), max(self.rows // COPIES, 2)
        first = draw.inputs("probe", torch.arange(groups).expand(replicas, -1))
        radius = first.norm(dim=2, keepdim=True).repeat_interleave(COPIES, 1)
        x = radius * self._directions(draw, first, groups * COPIES)
        out = (
            learner.forward(params, draw.encode(x), present).double().view(replicas, groups, COPIES)
        )
        truth = draw.labels(x).double().view(replicas, groups, COPIES)
        scatter = out.var(2)
        average = (out.mean(2) - truth[:, :, 0]).square() - scatter / COPIES
        chance = draw.variance.to(out.device)
        found = {
            "radial": average.mean(1) / chance,
            "scatter": scatter.mean(1) / chance,
            "norm": _path_norm(learner, params, target.d),
        }
        return {
            name: value.cpu()
            for name, value in (
                found | self._profile(draw, learner, params, present, first)
            ).items()
        }

    @staticmethod
    def _directions(draw: Draw, like: Tensor, count: int) -> Tensor:
        keys = random.keys(draw.seeds, "probe/directions", like.device)
        return directions(
            keys,
            torch.arange(count, device=like.device).expand(len(keys), -1),
            like.shape[2],
            like.dtype,
        )

    def _profile(
        self, draw: Draw, learner: Learner, params: Params, present: frozenset[str], like: Tensor
    ) -> dict[str, Tensor]:
        if not self.profile:
            return {}
        u, mean, found = self._directions(draw, like, 64), draw.revealed["mean"].double(), {}
        for r in torch.linspace(0, self.reach, self.profile).tolist():
            out = learner.forward(params, draw.encode(r * u), present).double()
            found[f"profile/{r:.3f}"] = (out + mean).mean(1)
        return found


def _path_norm(learner: Learner, params: Params, d: int) -> Tensor:
    """Σ |a_j| ‖w_j‖ / √(2πd) of a two-layer ReLU network, (R,); NaN for another learner."""
    replicas = len(next(iter(params.values())))
    if not isinstance(learner, MLP) or len(learner.widths) != 1 or learner.activation != "relu":
        return torch.full((replicas,), float("nan"), dtype=torch.float64)
    scale = d**0.5 if learner.input_scale == "sqrt_d" else learner.input_scale
    norms = params["W2"].double().norm(dim=1) * params["a2"].double().abs()
    return norms.sum(1) * scale / math.sqrt(2 * math.pi * d)
