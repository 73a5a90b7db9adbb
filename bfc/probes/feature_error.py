"""Feature error of a quadratic learner against its teacher, level by level: the quantities in which
backward feature correction is stated. All are zero for a perfect learner and do not depend on the
basis a level is expressed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.types import Draw, Learner, Params, Probe, Target


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
    """Looks on the way, see :class:`bfc.types.Probe`."""

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

    def check(self, target: Target, learner: Learner) -> None:
        if not (hasattr(learner, "features") and target.levels):
            raise UserError(
                f"probe=feature_error: needs a target with levels and a learner with features, not {type(target).__name__} and "
                f"{type(learner).__name__}; set probe=none"
            )

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        replicas = len(draw.seeds)
        nothing = torch.full((replicas,), float("nan"), dtype=torch.float64)
        x = draw.inputs("probe", torch.arange(self.rows).expand(replicas, -1))
        teacher, student = draw.features(x), learner.features(params, draw.encode(x), present)
        errors: dict[str, Tensor] = {}
        for level in target.levels:
            if level not in student:
                errors |= {f"{name}/{level}": nothing for name in ("gram", "subspace", "feature")}
                continue
            z, s, phi = (
                t.double() for t in (teacher[level], *(part.mT for part in student[level][:2]))
            )
            gram = _weight_gram(draw.weights[level], learner.rows(params, level, present))
            errors[f"gram/{level}"] = (_sample_gram(z, s) if gram is None else gram).cpu()
            errors[f"subspace/{level}"] = _unexplained(s, z, s, z).cpu()
            half = self.rows // 2
            errors[f"feature/{level}"] = _unexplained(
                phi[:, :half], z[:, :half] ** 2, phi[:, half:], z[:, half:] ** 2
            ).cpu()
        return errors


def _weight_gram(teacher: dict[int, Tensor], student: dict[int, Tensor]) -> Tensor | None:
    """Exact Gram error of a level that reads x alone, else None; rows by what they read."""
    if set(teacher) != {0}:
        return None
    k, w = student[0].double(), teacher[0].double()
    truth = w.mT @ w
    return (k.mT @ k - truth).flatten(1).norm(dim=1) / truth.flatten(1).norm(dim=1)


def _sample_gram(z: Tensor, s: Tensor) -> Tensor:
    truth = z.square().sum(-1)
    return (s.square().sum(-1) - truth).std(1) / truth.std(1)


def _unexplained(
    features: Tensor, values: Tensor, test_features: Tensor, test_values: Tensor
) -> Tensor:
    """1 - R^2 on the test half of least squares fitted on the other; (R, N, p), (R, N, k) → (R,)."""
    mean, centre = values.mean(1, keepdim=True), features.mean(1, keepdim=True)
    f = features - centre
    normal = f.mT @ f
    ridge = 1e-12 * normal.diagonal(dim1=1, dim2=2).mean(1).view(-1, 1, 1) + 1e-300
    normal = normal + ridge * torch.eye(f.shape[-1], dtype=f.dtype, device=f.device)
    coefficient = torch.linalg.solve(normal, f.mT @ (values - mean))
    residual = test_values - mean - (test_features - centre) @ coefficient
    return (residual.var(1) / test_values.var(1)).mean(1)
