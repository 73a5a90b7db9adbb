"""How often a simulation is repeated, and which coverage so many repeats still allow.

A simulation of an interval's coverage is repeated a tenth or a quarter as often by default as with
``--exhaustive``. The bound follows from the number of repeats alone, so that a default run is held
to what it can tell: a right interval fails it in at most one of fifty simulations.
"""

from __future__ import annotations

from scipy import stats

FALSE_ALARM = 0.02


def least_coverage(repeats: int, level: float = 0.95) -> float:
    """The smallest share of ``repeats`` intervals that is no sign of a coverage below ``level``.

    It is a binomial quantile: intervals of exactly this coverage fall below it with a probability
    of at most ``FALSE_ALARM``.
    """
    return float(stats.binom.ppf(FALSE_ALARM, repeats, level)) / repeats
