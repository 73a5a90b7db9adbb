"""A slope through values some of which are only known to lie within bounds.

Values of groups (one intercept per group) scatter normally about lines of one slope. A value that
is known to lie above a bound only counts with the probability of that: to leave it out would bend
the line, since it is the large ones that are not measured (Tobin 1958).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, optimize, special, stats

from bfc.stats.estimates import NO_INTERVAL, Ends, WithStandardError
from bfc.stats.outcomes import BoolArray, FloatArray

OFFSETS = np.sinh(np.linspace(-5.0, 5.0, 61))
"""Where the profile likelihood is evaluated, in standard errors from the least squares of the known
values; an end of an interval beyond them is open."""
SMALLEST_MASS = 1e-300
STEEPEST = 1e6
"""Largest 1/σ in units of the residuals; values that lie exactly on a line would have none."""


@dataclass(frozen=True, eq=False)
class CensoredSlope:
    """The slope of values between ``lowers`` and ``uppers`` (N,) against ``x`` (N,).

    ``group`` (N,) numbers the groups 0 … G − 1, each with an intercept of its own and a known
    value at least. A value with equal bounds is known. The interval holds the slopes β with
    2 (max ℓ − ℓ(β)) ≤ N log(1 + t²/ν), where ℓ is the profile likelihood, t the quantile of Student
    with ν degrees of freedom, and ν the number of known values less G + 1. Where all values are
    known this is Student's interval of least squares (:func:`fit_known`). Below one degree of
    freedom there is none.
    """

    x: FloatArray
    lowers: FloatArray
    uppers: FloatArray
    group: NDArray[np.int64]

    @property
    def degrees_of_freedom(self) -> int:
        known = int((self.lowers == self.uppers).sum())
        return known - len(np.unique(self.group)) - 1

    @property
    def value(self) -> float:
        if self.degrees_of_freedom < 1:
            return math.nan
        _, curve = self._profile
        peaks = curve.derivative().roots(extrapolate=False)
        return float(peaks[np.argmax(curve(peaks))]) if len(peaks) else math.nan

    def interval(self, level: float) -> Ends:
        if self.degrees_of_freedom < 1:
            return NO_INTERVAL
        slopes, curve = self._profile
        best = self.value
        if math.isnan(best):
            return NO_INTERVAL
        quantile = float(stats.t.ppf(0.5 + level / 2.0, self.degrees_of_freedom))
        fall = 0.5 * len(self.x) * math.log1p(quantile**2 / self.degrees_of_freedom)
        least = float(curve(best)) - fall
        roots = interpolate.CubicSpline(slopes, curve(slopes) - least).roots(extrapolate=False)
        below, above = roots[roots < best], roots[roots > best]
        lo = float(below.max()) if len(below) else -math.inf
        hi = float(above.min()) if len(above) else math.inf
        return lo, hi

    @cached_property
    def _profile(self) -> tuple[FloatArray, interpolate.CubicSpline]:
        """Slopes (K,) and the profile likelihood through them."""
        known = self.lowers == self.uppers
        start = fit_known(self.x[known], self.lowers[known], self.group[known])
        slopes = start.value + max(start.error, 1.0 / STEEPEST) * OFFSETS
        values = [self._maximise(slope) for slope in slopes]
        return slopes, interpolate.CubicSpline(slopes, values)

    def _maximise(self, slope: float) -> float:
        """The largest log likelihood with this slope.

        Over 1/σ and the intercepts over σ, in which it is concave (Olsen 1978).
        """
        lowers, uppers = self.lowers - slope * self.x, self.uppers - slope * self.x
        known = self.lowers == self.uppers
        groups = int(self.group.max()) + 1
        centres = np.array([lowers[known & (self.group == g)].mean() for g in range(groups)])
        spread = max(float(np.std(lowers[known] - centres[self.group[known]])), 1.0 / STEEPEST)

        def lose(parameters: FloatArray) -> float:
            inverse, middles = parameters[0] / spread, parameters[1:][self.group]
            low = inverse * (lowers - centres[self.group]) - middles
            high = inverse * (uppers - centres[self.group]) - middles
            return -_log_likelihood(low, high, known, inverse)

        first = np.array([1.0, *np.zeros(groups)])
        bounds = [(1e-3, None), *[(None, None)] * groups]
        return -float(optimize.minimize(lose, first, method="L-BFGS-B", bounds=bounds).fun)


def _log_likelihood(low: FloatArray, high: FloatArray, known: BoolArray, inverse: float) -> float:
    """Of standardised bounds (N,); ``inverse``: 1/σ."""
    density = math.log(inverse) - 0.5 * low[known] ** 2
    bounds = np.stack([low[~known], high[~known]])
    flip = bounds[0] > -bounds[1]  # without cancellation in the upper tail
    bounds = np.where(flip, -bounds[::-1], bounds)
    mass = special.ndtr(bounds[1]) - special.ndtr(bounds[0])
    return float(density.sum() + np.log(np.maximum(mass, SMALLEST_MASS)).sum())


def fit_known(x: FloatArray, y: FloatArray, group: NDArray[np.int64]) -> WithStandardError:
    """The slope of known values by least squares, with one intercept per group.

    Its standard error comes from the scatter about the lines.
    """
    for number in np.unique(group):
        rows = group == number
        x = np.where(rows, x - x[rows].mean(), x)
        y = np.where(rows, y - y[rows].mean(), y)
    degrees_of_freedom = len(x) - len(np.unique(group)) - 1
    slope = float(x @ y / (x @ x))
    variance = float(((y - slope * x) ** 2).sum()) / degrees_of_freedom / float(x @ x)
    return WithStandardError(slope, math.sqrt(variance), degrees_of_freedom)
