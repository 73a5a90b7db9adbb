"""Which intervals of a share more trials may lead to, and how likely each of them is.

The normal approximation to the chance of a decision fails for counts near none or all: 16 successes
of 16 cannot show a share of .95 before 97 trials, whatever their outcome, while the approximation
gives half as many a fair chance. Looks would be spent on counts that decide nothing. The number of
successes to come follows a beta-binomial distribution (Jeffreys' prior), and for each the interval
of Clopper and Pearson is known.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import stats

from bfc.stats.outcomes import FloatArray

JEFFREYS = 0.5
SMALLEST_PROBABILITY = 1e-6
"""Outcomes that are less likely are left out."""


class PredictedIntervals(NamedTuple):
    """The intervals that may come, all of shape (outcomes,)."""

    probability: FloatArray
    lo: FloatArray
    hi: FloatArray


@lru_cache(maxsize=1024)
def predict_intervals(successes: float, count: int, added: int, level: float) -> PredictedIntervals:
    """The intervals at ``level`` after ``added`` trials more, of which any number may succeed."""
    failures = count - successes
    new = np.arange(added + 1)
    probability = stats.betabinom.pmf(new, added, successes + JEFFREYS, failures + JEFFREYS)
    is_likely = probability > SMALLEST_PROBABILITY
    new, probability = new[is_likely], probability[is_likely]
    lo, hi = clopper_pearson(successes + new, failures + added - new, level)
    return PredictedIntervals(probability, lo, hi)


def clopper_pearson(
    successes: FloatArray, failures: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """The ends of the interval of a probability (Clopper and Pearson 1934); shapes broadcast."""
    tail = (1.0 - level) / 2.0
    lo = stats.beta.ppf(tail, np.maximum(successes, JEFFREYS), failures + 1.0)
    hi = stats.beta.ppf(1.0 - tail, successes + 1.0, np.maximum(failures, JEFFREYS))
    return np.where(successes > 0, lo, 0.0), np.where(failures > 0, hi, 1.0)
