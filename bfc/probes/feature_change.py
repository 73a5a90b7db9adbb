"""How much a phase of training changed what every level computes.

This is the paper's own measurement on images (features of early layers before and after deeper ones
train; recalled), which needs no teacher. High but below one is what backward feature correction
predicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError
from bfc.learners import phase_start
from bfc.learners.capabilities import PhaseStates
from bfc.probes.common import (
    centre_rows,
    check_rows,
    kernel_alignment,
    probe_inputs,
    undefined,
)
from bfc.types import Draw, Learner, Params, Probe, Target


@dataclass(frozen=True)
class FeatureChange(Probe):
    """Two similarities per level between its representation h_l at the end and start of a phase.

    ``correlation/l``: Pearson correlation of each unit with itself, averaged over units. ``cka/l``:
    linear centred kernel alignment |H'G|_F² / (|H'H|_F |G'G|_F) (Kornblith et al., ICML 2019),
    which rotations of the representation leave alone. Both are 1 for a frozen level.
    """

    identity_name: ClassVar[str] = "bfc.probes.feature_change.FeatureChange"
    version: ClassVar[int] = 1

    rows: int = 1024
    """Unlabelled inputs, stream ``probe``."""

    def __post_init__(self) -> None:
        check_rows(self.rows, 1 << 20)

    def check(self, target: Target, learner: Learner) -> None:
        if not (isinstance(learner, PhaseStates) and learner.remember):
            raise UserError(
                "probe=feature_change: needs a learner that remembers where a phase began; "
                "allowed: learner=resnet or conv_resnet with learner.remember=true, or probe=none"
            )

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        assert isinstance(learner, PhaseStates)
        x = draw.encode(probe_inputs(draw, self.rows))
        now = learner.hidden(params, x, present)
        then = learner.hidden(phase_start.recall(params), x, present)
        values: dict[str, Tensor] = {}
        for level in learner.levels(target):
            if level in now:
                h, g = centre_rows(now[level]), centre_rows(then[level])
                values[f"correlation/{level}"] = _mean_correlation(h, g).cpu()
                values[f"cka/{level}"] = kernel_alignment(h, g).cpu()
            else:
                for name in ("correlation", "cka"):
                    values[f"{name}/{level}"] = undefined(len(draw.seeds))
        return values


def _mean_correlation(h: Tensor, g: Tensor) -> Tensor:
    """Correlation of every unit of h with the same of g, averaged over units; 0 if constant."""
    sizes = h.square().sum(1) * g.square().sum(1)
    correlations = (h * g).sum(1) / sizes.sqrt().clamp(min=1e-300)
    return torch.where(sizes > 0, correlations, 0.0).mean(1)
