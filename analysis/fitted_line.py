"""The exponent of n* in d, or in L, of one method, and what of its error no number of seeds lowers.

Values of n* scatter from cell to cell beyond what their seeds explain (τ). A slope through them
keeps the error of that scatter however many seeds the cells have; only more d lower it. So do they
where two or three of them leave the scatter itself unknown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd

from bfc.stats.estimates import LEVEL, Rescaled
from bfc.stats.swept_axis import DIMENSION

FEW = {2: "two", 3: "three"}
"""Numbers of sizes, in words, that leave at most one degree of freedom to the scatter of n* about
a line, and so a wide interval to its slope."""
NO_FACTOR = Rescaled(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class FittedLine:
    """The exponent of n* in d, or in L, of one method, and the trainings it was fitted to."""

    estimate: Rescaled
    trainings: pd.DataFrame
    tau: float
    """Scatter of log n* from cell to cell."""
    axis: str = DIMENSION.name
    """The column that it is an exponent in."""
    factor: Rescaled = NO_FACTOR
    """e^b of the candidate n* ∝ e^(b d), or e^(b L): the factor from level to level."""
    remark: str = ""
    """Why figures show other exponents of the method, where they do."""

    @property
    def squared_error(self) -> float:
        """The squared standard error of the exponent."""
        lo, hi = self.estimate.interval(LEVEL)
        return ((hi - lo) / (2.0 * NormalDist().inv_cdf(0.5 + LEVEL / 2.0))) ** 2

    @property
    def fixed_squared_error(self) -> float:
        """What of it no number of seeds lowers: that of a slope through values that scatter by
        ``tau``; at most the whole."""
        if not math.isfinite(self.tau) or self.trainings.empty:
            return 0.0
        logs = np.log(self.trainings[self.axis].astype(float).unique())
        spread = float(((logs - logs.mean()) ** 2).sum())
        if spread == 0:
            return 0.0
        return min(self.tau**2 / spread, self.squared_error)


def compute_fixed_share(*lines: FittedLine) -> float:
    """Share of the squared error of an exponent, or of a difference of two, that no number of
    seeds lowers; 0 where there is no interval."""
    total = sum(line.squared_error for line in lines)
    fixed = sum(line.fixed_squared_error for line in lines)
    return fixed / total if total > 0 and math.isfinite(total) else 0.0


def describe_scarce_sizes(*lines: FittedLine) -> str:
    """:func:`name_scarce_sizes` of the line through the fewest sizes."""
    fitted = [line for line in lines if not line.trainings.empty]
    numbers = {line.trainings[line.axis].nunique(): line.axis for line in fitted}
    fewest = min(numbers, default=0)
    return name_scarce_sizes(fewest, numbers.get(fewest, DIMENSION.name))


def name_scarce_sizes(number: int, axis: str = DIMENSION.name) -> str:
    """``two values of d`` where an exponent runs through so few of them, else empty."""
    return f"{FEW[number]} values of {axis}" if number in FEW else ""
