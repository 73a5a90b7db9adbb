"""What a learner of a radial target has become as a function of the radius.

Its error is split into that of its rotation average and the scatter around it. Besides: the learned
profile, and the path norm of a two-layer network, in the units in which the certified floor of
:mod:`bfc.bounds.two_layer` says what that norm can reach.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from bfc import random
from bfc.errors import UserError, require
from bfc.learners.mlp import MLP
from bfc.probes.common import check_num_evals, check_rows, probe_inputs, undefined
from bfc.targets.capabilities import RadialTarget, read_mean
from bfc.targets.radial import directions
from bfc.types import Draw, Learner, Params, Probe, Target

COPIES = 8
"""Directions per radius, from which the scatter is estimated without bias."""
PROFILE_DIRECTIONS = 64
"""Directions over which the profile is averaged."""


@dataclass(frozen=True)
class RadialProbe(Probe):
    """The error of a learner of a radial target in two parts, its path norm and its profile.

    ``radial``: E(f̄ − f*)² / Var f*, f̄ the average of f over rotations; ``scatter``: E(f − f̄)² /
    Var f* (both unbiased; they add up to the risk). ``norm``: of a two-layer ReLU network f = c + Σ
    a_j σ(w_j·x + b_j), Σ |a_j| ‖w_j‖ / √(2πd), else NaN. ``profile/<r>``: mean of f over directions
    at the radius r, its own mean restored.
    """

    identity_name: ClassVar[str] = "bfc.probes.radial.RadialProbe"
    version: ClassVar[int] = 1

    rows: int = 4096
    """Fresh unlabelled inputs, stream ``probe``, in groups of 8 of one radius."""
    num_evals: int = field(default=0, metadata={"identity": "looks"})
    """Evaluations during a training, see :class:`bfc.types.Probe`."""
    profile: int = 0
    """Radii of the profile, even from 0 to ``reach``; 0: none."""
    reach: float = 2.0

    def __post_init__(self) -> None:
        check_rows(self.rows, 1 << 24)
        check_num_evals(self.num_evals)
        valid_profile = self.profile == 0 or 2 <= self.profile <= 200
        require(valid_profile, "probe.profile", self.profile, "0 or an integer from 2 to 200")
        require(0 < self.reach < 1e6, "probe.reach", self.reach, "a number > 0")

    def check(self, target: Target, learner: Learner) -> None:
        if not isinstance(target.unwrapped, RadialTarget):
            raise UserError(
                f"probe: needs a radial target, not {type(target).__name__}; set probe=none"
            )

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        groups = max(self.rows // COPIES, 2)
        shape = (len(draw.seeds), groups, COPIES)
        first = probe_inputs(draw, groups)
        radius = first.norm(dim=2, keepdim=True).repeat_interleave(COPIES, 1)
        x = radius * self._directions(draw, first, groups * COPIES)
        out = learner.forward(params, draw.encode(x), present).double().view(shape)
        truth = draw.labels(x).double().view(shape)
        scatter = out.var(2)
        average = (out.mean(2) - truth[:, :, 0]).square() - scatter / COPIES
        chance = draw.variance.to(out.device)
        values = {
            "radial": average.mean(1) / chance,
            "scatter": scatter.mean(1) / chance,
            "norm": _path_norm(learner, params, target.d),
            **self._profile(draw, learner, params, present, first),
        }
        return {name: value.cpu() for name, value in values.items()}

    @staticmethod
    def _directions(draw: Draw, like: Tensor, count: int) -> Tensor:
        """Directions on the sphere, (R, count, d), with the number type of ``like``."""
        keys = random.keys(draw.seeds, "probe/directions", like.device)
        numbers = torch.arange(count, device=like.device).expand(len(keys), -1)
        return directions(keys, numbers, like.shape[2], like.dtype)

    def _profile(
        self, draw: Draw, learner: Learner, params: Params, present: frozenset[str], like: Tensor
    ) -> dict[str, Tensor]:
        """``profile/<r>`` at every radius; empty where none is asked for."""
        if not self.profile:
            return {}
        u = self._directions(draw, like, PROFILE_DIRECTIONS)
        mean = read_mean(draw).double()
        values = {}
        for r in torch.linspace(0, self.reach, self.profile).tolist():
            out = learner.forward(params, draw.encode(r * u), present).double()
            values[f"profile/{r:.3f}"] = (out + mean).mean(1)
        return values


def _path_norm(learner: Learner, params: Params, d: int) -> Tensor:
    """Σ |a_j| ‖w_j‖ / √(2πd) of a two-layer ReLU network, (R,); NaN for another learner."""
    if not isinstance(learner, MLP) or len(learner.widths) != 1 or learner.activation != "relu":
        return undefined(len(next(iter(params.values()))))
    scale = d**0.5 if learner.input_scale == "sqrt_d" else learner.input_scale
    weight_norms = torch.linalg.vector_norm(params["W2"].double(), dim=1)
    norms = weight_norms * params["a2"].double().abs()
    path_norm: Tensor = norms.sum(1) * scale / math.sqrt(2 * math.pi * d)
    return path_norm
