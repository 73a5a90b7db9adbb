"""How far the intervals of a simulation may miss, and how wide they may be.

A simulation of an interval's coverage is repeated a tenth or a quarter as often by default as with
``--exhaustive``. The bound follows from the number of repeats alone, so that a default run is held
to what it can tell: a right interval fails it in at most one of fifty simulations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

FALSE_ALARM = 0.02


def least_coverage(repeats: int, level: float = 0.95) -> float:
    """The smallest share of ``repeats`` intervals that is no sign of a coverage below ``level``.

    It is a binomial quantile: intervals of exactly this coverage fall below it with a probability
    of at most ``FALSE_ALARM``.
    """
    return float(stats.binom.ppf(FALSE_ALARM, repeats, level)) / repeats


def length_of_known_spread(u: np.ndarray, spread: float, law: Any = stats.norm) -> float:
    """Length in log n of the 95 % interval of a threshold whose ``law`` and spread are known.

    From the Fisher information of trainings at log n* + ``u``, each with a threshold of its own
    that is ``spread`` times a number of the law.
    """
    z = u / spread
    p = law.cdf(z)
    information = (law.pdf(z) ** 2 / (p * (1 - p))).sum() / spread**2
    return float(2 * stats.norm.ppf(0.975) / np.sqrt(information))
