"""Feature error of a quadratic learner against its teacher, level by level.

These are the quantities in which backward feature correction is stated. All are zero for a perfect
learner and do not depend on the basis a level is expressed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError
from bfc.learners.capabilities import LevelFeatures
from bfc.probes.common import (
    check_num_evals,
    check_rows,
    distinct_draw,
    frobenius_norm,
    probe_inputs,
    undefined,
)
from bfc.targets.capabilities import LevelDraw
from bfc.types import Draw, Learner, Params, Probe, Target


def level_weights(draw: Draw) -> Mapping[int, Mapping[int, Tensor]]:
    """The teacher's weights: level → source → rows (R, k_level, width of source)."""
    inner = draw.unwrapped
    assert isinstance(inner, LevelDraw)
    return inner.weights


@dataclass(frozen=True)
class FeatureError(Probe):
    """Three errors per level l, z the teacher's features, s the learner's, phi all products of s.

    ``gram/l``: sd(|s_l|^2 - |z_l|^2) / sd(|z_l|^2). At level 2 on Gaussian x it equals the paper's
    ||K_2^T K_2 - W_2^T W_2||_F / ||W_2^T W_2||_F and is taken from the weights; elsewhere from the
    rows. ``subspace/l``: 1 - R^2 of z_l regressed linearly on s_l (averaged over units).
    ``feature/l``: 1 - R^2 of the units of z_l^2 regressed on phi_l, fitted on one half of the rows
    and judged on the other.
    """

    identity_name: ClassVar[str] = "bfc.probes.feature_error.FeatureError"
    version: ClassVar[int] = 1

    rows: int = 16384
    """Fresh unlabelled inputs, stream ``probe``."""
    num_evals: int = field(default=0, metadata={"identity": "looks"})
    """Evaluations during a training, see :class:`bfc.types.Probe`."""

    def __post_init__(self) -> None:
        check_rows(self.rows, 1 << 24)
        check_num_evals(self.num_evals)

    def check(self, target: Target, learner: Learner) -> None:
        if not (isinstance(learner, LevelFeatures) and target.levels):
            raise UserError(
                "probe=feature_error: needs a target with levels and a learner with features, not "
                f"{type(target).__name__} and {type(learner).__name__}; set probe=none"
            )

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        assert isinstance(learner, LevelFeatures)
        x = probe_inputs(draw, self.rows)
        distinct = distinct_draw(draw)
        teacher = distinct.features(x[: len(distinct.seeds)])
        student = learner.features(params, draw.encode(x), present)
        errors: dict[str, Tensor] = {}
        for level in target.levels:
            if level not in student:
                for name in ("gram", "subspace", "feature"):
                    errors[f"{name}/{level}"] = undefined(len(draw.seeds))
                continue
            z = teacher[level].double().expand(len(draw.seeds), -1, -1)
            s, phi = (part.mT.double() for part in student[level][:2])
            rows = learner.rows(params, level, present)
            gram = _weight_gram(level_weights(draw)[level], rows)
            errors[f"gram/{level}"] = (_sample_gram(z, s) if gram is None else gram).cpu()
            errors[f"subspace/{level}"] = _unexplained(s, z, s, z).cpu()
            errors[f"feature/{level}"] = _feature_error(phi, z).cpu()
        return errors


def _weight_gram(teacher: Mapping[int, Tensor], student: dict[int, Tensor]) -> Tensor | None:
    """Exact Gram error of a level that reads x alone, else None; rows by what they read."""
    if set(teacher) != {0}:
        return None
    k, w = student[0].double(), teacher[0].double()
    truth = w.mT @ w
    error: Tensor = frobenius_norm(k.mT @ k - truth) / frobenius_norm(truth)
    return error


def _sample_gram(z: Tensor, s: Tensor) -> Tensor:
    """Gram error over rows, from features (R, B, k) and (R, B, p)."""
    truth = z.square().sum(-1)
    error: Tensor = (s.square().sum(-1) - truth).std(1) / truth.std(1)
    return error


def _feature_error(phi: Tensor, z: Tensor) -> Tensor:
    """1 - R^2 of z^2 on phi, fitted on the first half of the rows and judged on the second."""
    half = phi.shape[1] // 2
    return _unexplained(phi[:, :half], z[:, :half] ** 2, phi[:, half:], z[:, half:] ** 2)


def _unexplained(
    features: Tensor, values: Tensor, test_features: Tensor, test_values: Tensor
) -> Tensor:
    """1 - R^2 on the test rows of least squares fitted on the others, averaged over columns.

    (R, N, p) and (R, N, k) → (R,).
    """
    mean, centre = values.mean(1, keepdim=True), features.mean(1, keepdim=True)
    f = features - centre
    normal = f.mT @ f
    ridge = 1e-12 * normal.diagonal(dim1=1, dim2=2).mean(1).view(-1, 1, 1) + 1e-300
    normal = normal + ridge * torch.eye(f.shape[-1], dtype=f.dtype, device=f.device)
    coefficient = torch.linalg.solve(normal, f.mT @ (values - mean))
    residual = test_values - mean - (test_features - centre) @ coefficient
    return (_sum_of_squares(residual) / _sum_of_squares(test_values)).mean(1)


def _sum_of_squares(values: Tensor) -> Tensor:
    """Of deviations from the mean over rows, (R, N, k) → (R, k); faster than torch's variance."""
    norm: Tensor = torch.linalg.vector_norm(values - values.mean(1, keepdim=True), dim=1)
    return norm.square()
