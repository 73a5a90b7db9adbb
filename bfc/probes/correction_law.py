"""The law of the correction: trained alone, level 2 fits the quadratic part of the whole label, so
what it gets wrong is known before any training from H = E[f*(x) (x x' - I)]. This probe puts the
prediction beside the measured error, the one place where backward feature correction can be checked
against a formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.probes.feature_error import FeatureError
from bfc.targets.level_moments import quadratic_part
from bfc.types import Draw, Learner, Params, Target


@dataclass(frozen=True)
class CorrectionLaw(FeatureError):
    """:class:`FeatureError` and, in phases that have level 2 alone, ``predicted/2``: the Gram error
    that it must end with there.

    Alone, level 2 minimises E(f* - s (|K x|² - E))² with s = alpha_2 / c_2. Only the part of f* of
    Hermite degree 2 matters, (1/2) <H, x x' - I>, so K'K is the part of H / (2 s) with its p_2
    largest positive eigenvalues. H is exact where f* can be expanded, otherwise the mean over
    ``draws`` rows of the stream ``law`` (heavy tails make it too large by tens of per cent for
    small alpha_3).
    """

    identity_name: ClassVar[str] = "bfc.probes.correction_law.CorrectionLaw"
    version: ClassVar[int] = 1

    draws: int = 1 << 18
    """Rows for H where it is not exact."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            1024 <= self.draws <= 1 << 26,
            "probe.draws",
            self.draws,
            "an integer from 1024 to 67108864",
        )

    def check(self, target: Target, learner: Learner) -> None:
        super().check(target, learner)
        if not (
            hasattr(target, "below") and tuple(target.below(2)) == (0,) and target.law == "gaussian"
        ):
            raise UserError(
                "probe=correction_law: needs a target whose level 2 reads Gaussian x alone; allowed: target=quadratic_densenet "
                "with target.base=x, target.law=gaussian and no link from level 2 to 1"
            )
        require(
            getattr(learner, "alpha", "known") == "known",
            "learner.alpha",
            "trained",
            "known with probe=correction_law",
        )

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        errors = super().measure(target, draw, learner, params, present)
        predicted = torch.full((len(draw.seeds),), float("nan"), dtype=torch.float64)
        if {name for name in present if name.startswith("level")} == {"level2"}:
            width = learner.rows(params, 2, present)[0].shape[1]
            own = {
                seed: self._predict(target, draw.select([draw.seeds.index(seed)]), width)
                for seed in set(draw.seeds)
            }
            predicted = torch.stack([own[seed] for seed in draw.seeds])
        return {**errors, "predicted/2": predicted}

    def _predict(self, target: Target, one: Draw, width: int) -> Tensor:
        teacher, scale = one.weights[2][0][0].double().cpu(), float(one.revealed["scale"][0, 0])
        return predicted_gram(teacher, self._hessian(target, one), scale, width)

    def _hessian(self, target: Target, one: Draw) -> Tensor:
        exact = quadratic_part(
            target,
            {
                level: {j: w[0].double().cpu() for j, w in parts.items()}
                for level, parts in one.weights.items()
            },
        )
        if exact is not None:
            return exact
        total = torch.zeros(target.d, target.d, dtype=torch.float64)
        for first in range(0, self.draws, 1 << 14):
            rows = one.inputs(
                "law", torch.arange(first, min(first + (1 << 14), self.draws)).unsqueeze(0)
            )
            x, y = rows[0].double().cpu(), one.labels(rows)[0].double().cpu()
            total += x.T @ (y.unsqueeze(1) * x) - y.sum() * torch.eye(target.d, dtype=torch.float64)
        return total / self.draws


def predicted_gram(teacher: Tensor, hessian: Tensor, scale: float, width: int) -> Tensor:
    """Relative Gram error of level 2 trained alone; ``teacher`` (k_2, d), ``hessian`` H (d, d),
    ``scale`` alpha_2 / c_2, ``width`` p_2."""
    values, vectors = torch.linalg.eigh(hessian / (2 * scale))
    kept = values.clamp(min=0) * (torch.arange(len(values)) >= len(values) - width)
    truth = teacher.T @ teacher
    return ((vectors * kept) @ vectors.T - truth).norm() / truth.norm()
