"""How much a phase of training changed what every level computes: the paper's own measurement on
images (features of early layers before and after deeper ones train; recalled), which needs no
teacher. High but below one is what backward feature correction predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.learners.resnet import BEFORE
from bfc.types import Draw, Learner, Params, Probe, Target


@dataclass(frozen=True)
class FeatureChange(Probe):
    """Two similarities per level between its representation h_l at the end of the phase and that of
    the parameters the phase began with.

    ``correlation/l``: Pearson correlation of each unit with itself, averaged over units. ``cka/l``:
    linear centred kernel alignment |H'G|_F² / (|H'H|_F |G'G|_F) (Kornblith et al., ICML 2019),
    which rotations of the representation leave alone. Both are 1 for a frozen level.
    """

    identity_name: ClassVar[str] = "bfc.probes.feature_change.FeatureChange"
    version: ClassVar[int] = 1

    rows: int = 1024
    """Unlabelled inputs, stream ``probe``."""

    def __post_init__(self) -> None:
        require(
            64 <= self.rows <= 1 << 20, "probe.rows", self.rows, "an integer from 64 to 1048576"
        )

    def check(self, target: Target, learner: Learner) -> None:
        if not (hasattr(learner, "hidden") and getattr(learner, "remember", False)):
            raise UserError(
                "probe=feature_change: needs a learner that remembers where a phase began; allowed: learner=resnet or "
                "conv_resnet with learner.remember=true, or probe=none"
            )

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        x = draw.encode(draw.inputs("probe", torch.arange(self.rows).expand(len(draw.seeds), -1)))
        now = learner.hidden(params, x, present)
        then = learner.hidden(
            {name.removeprefix(BEFORE): p for name, p in params.items() if name.startswith(BEFORE)},
            x,
            present,
        )
        found: dict[str, Tensor] = {}
        for level in learner.levels(target):
            if level not in now:
                found |= {
                    f"{name}/{level}": torch.full(
                        (len(draw.seeds),), float("nan"), dtype=torch.float64
                    )
                    for name in ("correlation", "cka")
                }
                continue
            h, g = (
                (t.double() - t.double().mean(1, keepdim=True)) for t in (now[level], then[level])
            )
            sizes = h.square().sum(1) * g.square().sum(1)
            found[f"correlation/{level}"] = (
                torch.where(sizes > 0, (h * g).sum(1) / sizes.sqrt().clamp(min=1e-300), 0.0)
                .mean(1)
                .cpu()
            )
            cross, own, other = (a.mT @ b for a, b in ((h, g), (h, h), (g, g)))
            found[f"cka/{level}"] = (
                cross.square().sum((1, 2)) / (_norm(own) * _norm(other)).clamp(min=1e-300)
            ).cpu()
        return found


def _norm(matrix: Tensor) -> Tensor:
    return matrix.flatten(1).norm(dim=1)
