"""One direction from one moment of the labels: the estimators whose rates of learning are exact.

What a label transformation gains on index models is a power of d (Damian et al., arXiv:2403.05529;
partial trace: Damian et al., arXiv:2305.10633; both recalled). These two estimators show it without
any training, at sample sizes that follow from their signal and noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from bfc.baselines.checks import POSITIVE, check_value, integers_from
from bfc.baselines.feature_learner import FeatureLearner, Fit
from bfc.baselines.projected_ridge import fit_polynomials


@dataclass(frozen=True)
class IndexMoment(FeatureLearner):
    """The direction of (1/n) Σ m_i x_i, then ridge regression on polynomials of the projection.

    ``moment``, for Gaussian inputs and centred labels y:

    - ``partial_trace``: m = y (|x|² − d − 2), the contraction of E[y He_3(x)]. It is √6 w for
      y = He_3(w·x)/√6, with noise (d − 1)(64 + 2d)/n orthogonal to w (derived): d² samples for
      large d.
    - ``transformed``: m = sign(y) 1{|y| > τ}, τ = ``threshold`` standard deviations of y. Its
      signal s = E[m w·x] does not vanish where the generative exponent is 1 and y is odd; its noise
      is P(|y| > τ)(d − 1)/n (derived): d samples.

    Raises :class:`bfc.errors.UserError` on invalid values.
    """

    identity_name: ClassVar[str] = "bfc.baselines.index_moment.IndexMoment"

    moment: Literal["partial_trace", "transformed"] = "transformed"
    threshold: float = 1.5
    """τ, in standard deviations of the labels; used by ``transformed``."""
    degree: int = 5
    """Of the polynomials of the projection."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_value("threshold", self.threshold, POSITIVE)
        check_value("degree", self.degree, integers_from(1, 16))

    @property
    def label(self) -> str:
        if self.moment == "partial_trace":
            return f"partial trace (degree {self.degree})"
        return f"moment of transformed labels (degree {self.degree})"

    def fit_seconds(self, n: int, width: int, test: int) -> float:
        return 2e-3 + 3e-9 * n * width + 4e-8 * self.degree * (n + test)

    def fit_bytes(self, width: int) -> int:
        return 8 * self.n_max * (2 * width + 4 * self.degree)

    def fit(self, x: Tensor, y: Tensor, x_test: Tensor, ridge: float) -> Fit:
        direction = self.find_direction(x, y).unsqueeze(1)
        z, z_test = x @ direction, x_test @ direction
        predicted = fit_polynomials(z, y, z_test, self.degree, ridge)[1]
        return Fit(predicted, direction)

    def find_direction(self, x: Tensor, y: Tensor) -> Tensor:
        """The unit vector (d,) of the moment of ``x`` (n, d), ``y`` (n,); 0 where that is 0."""
        moment = self.weigh(x, y) @ x
        unit: Tensor = moment / moment.norm().clamp(min=1e-300)
        return unit

    def weigh(self, x: Tensor, y: Tensor) -> Tensor:
        """m_i, (n,)."""
        centred = y - y.mean()
        if self.moment == "partial_trace":
            return centred * (x.square().sum(1) - x.shape[1] - 2)
        size = centred.abs()
        limit = self.threshold * math.sqrt(float(centred.square().mean()))
        return centred.sign() * (size > limit)
