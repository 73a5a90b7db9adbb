"""The law of the correction: how wrong level 2 must be when it is trained alone.

Trained alone, level 2 fits the quadratic part of the whole label, so what it gets wrong is known
before any training from H = E[f*(x) (x x' - I)]. This probe puts the prediction beside the measured
error, the one place where backward feature correction can be checked against a formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.learners.capabilities import LevelFeatures, LevelScales
from bfc.learners.groups import present_levels
from bfc.probes.common import undefined
from bfc.probes.feature_error import FeatureError, level_weights
from bfc.targets.capabilities import LevelComposition, input_law, read_scales
from bfc.targets.level_expansion import quadratic_part
from bfc.types import Draw, Learner, Params, Target

CHUNK = 1 << 14
"""Rows of the stream ``law`` in memory at a time."""


@dataclass(frozen=True)
class CorrectionLaw(FeatureError):
    """:class:`FeatureError` and ``predicted/2``, the Gram error with which level 2 alone must end.

    NaN in phases that have other levels too. Alone, level 2 minimises E(f* - s (|K x|² - E))² with
    s = alpha_2 / c_2. Only the part of f* of Hermite degree 2 matters, (1/2) <H, x x' - I>, so K'K
    is the part of H / (2 s) with its p_2 largest positive eigenvalues. H is exact where f* can be
    expanded, otherwise the mean over ``draws`` rows of the stream ``law`` (heavy tails make it too
    large by tens of per cent for small alpha_3).
    """

    identity_name: ClassVar[str] = "bfc.probes.correction_law.CorrectionLaw"
    version: ClassVar[int] = 1

    draws: int = 1 << 18
    """Rows for H where it is not exact."""

    def __post_init__(self) -> None:
        super().__post_init__()
        valid_draws = 1024 <= self.draws <= 1 << 26
        require(valid_draws, "probe.draws", self.draws, "an integer from 1024 to 67108864")

    def check(self, target: Target, learner: Learner) -> None:
        super().check(target, learner)
        inner = target.unwrapped
        reads_x_alone = isinstance(inner, LevelComposition) and tuple(inner.below(2)) == (0,)
        if not (reads_x_alone and input_law(target) == "gaussian"):
            raise UserError(
                "probe=correction_law: needs a target whose level 2 reads Gaussian x alone; "
                "allowed: target=quadratic_densenet with target.base=x, target.law=gaussian and no "
                "link from level 2 to 1"
            )
        if isinstance(learner, LevelScales):
            allowed = "known with probe=correction_law"
            require(learner.alpha == "known", "learner.alpha", learner.alpha, allowed)

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        assert isinstance(learner, LevelFeatures)
        errors = super().measure(target, draw, learner, params, present)
        predicted = undefined(len(draw.seeds))
        if present_levels(present) == [2]:
            width = learner.rows(params, 2, present)[0].shape[1]
            by_seed = {}
            for seed in set(draw.seeds):
                one = draw.select([draw.seeds.index(seed)])
                by_seed[seed] = self._predict(target, one, width)
            predicted = torch.stack([by_seed[seed] for seed in draw.seeds])
        return {**errors, "predicted/2": predicted}

    def _predict(self, target: Target, one: Draw, width: int) -> Tensor:
        """The prediction for the draw of one seed and p_2 = ``width``."""
        teacher = level_weights(one)[2][0][0].double().cpu()
        scale = float(read_scales(one)[0, 0])
        return predicted_gram(teacher, self._hessian(target, one), scale, width)

    def _hessian(self, target: Target, one: Draw) -> Tensor:
        """H of the draw of one seed, (d, d)."""
        rows = {}
        for level, parts in level_weights(one).items():
            rows[level] = {source: w[0].double().cpu() for source, w in parts.items()}
        composition = target.unwrapped
        assert isinstance(composition, LevelComposition)
        exact = quadratic_part(composition, rows)
        return self._sample_hessian(target.d, one) if exact is None else exact

    def _sample_hessian(self, d: int, one: Draw) -> Tensor:
        total = torch.zeros(d, d, dtype=torch.float64)
        for first in range(0, self.draws, CHUNK):
            numbers = torch.arange(first, min(first + CHUNK, self.draws))
            inputs = one.inputs("law", numbers.unsqueeze(0))
            x, y = inputs[0].double().cpu(), one.labels(inputs)[0].double().cpu()
            total += x.T @ (y.unsqueeze(1) * x) - y.sum() * torch.eye(d, dtype=torch.float64)
        return total / self.draws


def predicted_gram(teacher: Tensor, hessian: Tensor, scale: float, width: int) -> Tensor:
    """Relative Gram error of level 2 trained alone.

    ``teacher`` (k_2, d), ``hessian`` H (d, d), ``scale`` alpha_2 / c_2, ``width`` p_2.
    """
    values, vectors = torch.linalg.eigh(hessian / (2 * scale))
    is_largest = torch.arange(len(values)) >= len(values) - width
    fitted = (vectors * (values.clamp(min=0) * is_largest)) @ vectors.T
    truth = teacher.T @ teacher
    error: Tensor = (fitted - truth).norm() / truth.norm()
    return error
