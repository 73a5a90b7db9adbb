"""How much of the planted subspace the first layer of a network has found.

The same overlap that methods in closed form record, so that n* of a feature is estimated of trained
networks, too (:mod:`analysis.feature_tables`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError
from bfc.learners.capabilities import InputWeights
from bfc.targets.overlap import subspace_overlap
from bfc.types import Draw, Learner, Params, Probe, Target


@dataclass(frozen=True)
class PlantedOverlap(Probe):
    """``overlap/subspace``: |U'W|²/k of the first layer and the k planted directions W.

    U are the k leading left singular vectors of the first layer (d, units).
    """

    identity_name: ClassVar[str] = "bfc.probes.planted_overlap.PlantedOverlap"
    version: ClassVar[int] = 1

    def check(self, target: Target, learner: Learner) -> None:
        if not isinstance(learner, InputWeights):
            raise UserError(
                "probe=planted_overlap: needs a network whose first layer is a matrix, not "
                f"{type(learner).__name__}; allowed: learner=mlp, or probe=none"
            )
        if target.draw([0]).planted_subspace is None:
            raise UserError(
                "probe=planted_overlap: needs a target with a planted subspace, seen as it is, not "
                f"{type(target.unwrapped).__name__}; for example target=leap, or probe=none"
            )

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        assert isinstance(learner, InputWeights)
        planted = draw.planted_subspace
        assert planted is not None
        weights = learner.input_weights(params).double()
        overlaps = []
        for matrix, directions in zip(weights, planted.double(), strict=True):
            leading = torch.linalg.svd(matrix, full_matrices=False)[0][:, : directions.shape[1]]
            overlaps.append(subspace_overlap(leading, directions))
        return {"overlap/subspace": torch.tensor(overlaps, dtype=torch.float64)}
