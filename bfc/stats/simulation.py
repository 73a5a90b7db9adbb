"""Sweeps whose truth is known, for the tests of recovery and coverage and for the benchmark of
procedures.

Every seed has a threshold T = μ_d + sd · noise, and its log risk falls linearly in log n and
crosses log eps at T, so that the threshold model and the smooth one are both exactly true unless
lapses, heavy tails or a risk of another shape are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bfc.stats.outcomes import FloatArray

DIMENSIONS = (8, 11, 16, 23, 32, 45, 64)
STEEPNESS = 3.0
"""Fall of log risk per log n."""
LARGEST_LOG_RISK = 2.0
JUMP_RISKS = (1e-3, 0.6)
"""Risk of a jump after and before the threshold."""
JUMP_SCATTER = 0.1
KNEE_FACTOR = 3.0


class RiskShape(StrEnum):
    """How log risk depends on log n below and above a seed's threshold."""

    LINE = "line"
    """A power law throughout."""
    JUMP = "jump"
    """From a plateau at 0.6 to 1e-3, with a tenth of scatter: nothing in between."""
    BEND = "bend"
    """1/(1 + n^b): a power law that bends to a plateau at 1 above eps."""
    KNEE = "knee"
    """Three times as steep below eps as above it."""


@dataclass(frozen=True)
class World:
    """n*(d) = prefactor · d^exponent, times e^(tau · normal) for every d."""

    d: tuple[int, ...] = DIMENSIONS
    exponent: float = 2.0
    prefactor: float = 1.6
    sd: float = 0.35
    """Spread of log n* over seeds."""
    tau: float = 0.0
    lapse: float = 0.0
    """Share of trainings that fail whatever their n."""
    heavy: bool = False
    """Thresholds follow sd · t with 3 degrees of freedom instead of a normal."""
    eps: float = 0.1
    steepness: float = STEEPNESS
    """Fall of log risk per log n."""
    scatter: float = 0.0
    """Standard deviation of the log risk of single trainings around that of their seed."""
    shape: RiskShape = RiskShape.LINE

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """log n* of every d, (D,)."""
        line = np.log(self.prefactor) + self.exponent * np.log(self.d)
        return np.asarray(line + self.tau * rng.standard_normal(len(self.d)))

    def train(
        self,
        rng: np.random.Generator,
        d: int,
        mu: float,
        n: ArrayLike,
        seed: ArrayLike | None = None,
        first: int = 0,
    ) -> pd.DataFrame:
        """Trainings at the given ``n`` (N,): columns d, n, seed, risk.

        Equal ``seed`` (N,) share a threshold; without it every training has a fresh one, numbered
        from ``first``.
        """
        n = np.asarray(n, float)
        seed = np.arange(first, first + len(n)) if seed is None else np.asarray(seed)
        codes, index = np.unique(seed, return_inverse=True)
        noise = rng.standard_t(3, len(codes)) if self.heavy else rng.standard_normal(len(codes))
        log_risk = self._bend(np.log(n) - mu - self.sd * noise[index])
        if self.scatter or self.shape is RiskShape.JUMP:
            log_risk += (self.scatter or JUMP_SCATTER) * rng.standard_normal(len(n))
        log_risk[rng.random(len(n)) < self.lapse] = 0.0
        risk = np.exp(np.minimum(log_risk, LARGEST_LOG_RISK))
        return pd.DataFrame({"d": d, "n": n.astype(np.int64), "seed": seed, "risk": risk})

    def _bend(self, excess: FloatArray) -> FloatArray:
        """Log risk at ``excess`` log n above the threshold."""
        if self.shape is RiskShape.JUMP:
            return np.log(np.where(excess >= 0, *JUMP_RISKS))
        log_eps, fall = np.log(self.eps), self.steepness * excess
        if self.shape is RiskShape.BEND:
            log_odds = log_eps - np.log1p(-self.eps) - fall
            return np.asarray(-np.logaddexp(0, -log_odds))
        if self.shape is RiskShape.KNEE:
            fall = np.where(fall > 0, KNEE_FACTOR * fall, fall)
        return np.asarray(log_eps - fall)
