"""How often a claim may be looked at, and the price of it.

A user runs a small size of a study, sees *undecided*, and runs a larger one: several looks at
growing data. Judged at 95 % each time, five such looks give a false verdict in 14 % of the cases
and not in 5. So verdicts are made from repeated confidence intervals (Jennison and Turnbull, Group
Sequential Methods, chapter 9): intervals so wide that the error over all looks is at most 5 %.

Pocock's constants hold for equal increments. Here data grow fourfold from size to size, and who
adds data chooses how much by what was seen; :func:`simulate_error` measures what that costs for all
:data:`POLICIES`, and :mod:`bfc.stats.worst_policy` bounds it for any rule by which data grow at
most fourfold from look to look, so that :data:`CRITICAL_VALUE` does not depend on how ``bfc
reproduce`` spends a budget.

A claim with one threshold ("at least 2.7") allows, whatever the truth, one kind of false verdict
only: it is true and contradicted, or false and reproduced. So either end of its interval may err
with the whole probability (:data:`ONE_SIDED_CRITICAL_VALUE`), also where who adds data hopes for
one of the two verdicts (:data:`ONE_SIDED_POLICIES`). tests/test_looks.py holds both constants and
``python -m benchmarks.looks`` prints the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Literal

import numpy as np
from scipy import stats

from bfc.stats.outcomes import FloatArray

MAX_LOOKS = 5
"""Looks that a claim may be judged at."""
CRITICAL_VALUE = 2.7
"""Half width of a repeated interval, in standard errors."""
REPEATED_LEVEL = float(2.0 * stats.norm.cdf(CRITICAL_VALUE) - 1.0)
"""The level of a plain interval that has this half width."""
ONE_SIDED_CRITICAL_VALUE = float(stats.norm.ppf(REPEATED_LEVEL))
"""Standard errors from the estimate to either end of the interval that judges one threshold.

Each end errs with the probability with which the interval of :data:`CRITICAL_VALUE` errs at both.
"""
POCOCK = {1: 1.960, 2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413}
"""Looks → constant for equal increments at 5 % (Pocock 1977)."""
LARGEST_GROWTH, SMALLEST_GROWTH = 4.0, 1.1
"""By what factor one look may have more data than the one before."""
POWER = 0.9
"""The probability of a decision that a planned increment aims at."""

STANDARD_NORMAL = NormalDist()

GROWTHS = (1.5, 2.0, 3.0, 4.0)
"""By what factors the data of a claim may grow where a budget is spent (:func:`choose_growth`)."""

Policy = Callable[[FloatArray, FloatArray, float], FloatArray]
"""(information, z, critical value) → information at the next look, all of shape (paths,)."""


def add_equally(information: FloatArray, z: FloatArray, critical_value: float) -> FloatArray:
    """As much again as at the first look, whose information is 1."""
    return information + 1.0


def multiply(information: FloatArray, z: FloatArray, critical_value: float) -> FloatArray:
    """Four times the data, as from one size of a study to the next."""
    return information * LARGEST_GROWTH


def plan_decision(information: FloatArray, z: FloatArray, critical_value: float) -> FloatArray:
    """What decides with probability :data:`POWER` if the estimate stays as it is."""
    return _scale(information, z, critical_value + float(stats.norm.ppf(POWER)))


def aim_at_threshold(information: FloatArray, z: FloatArray, critical_value: float) -> FloatArray:
    """Just what would decide if the estimate stayed as it is: the hungriest for a verdict."""
    return _scale(information, z, critical_value)


def maximise_decisions(information: FloatArray, z: FloatArray, critical_value: float) -> FloatArray:
    """The growth with the most decisions for its cost, where a look costs as much as all data."""
    return information * choose_growth(np.abs(z), critical_value)


def estimate_decision_chance(
    distance: FloatArray | float, growth: FloatArray | float, critical_value: float = CRITICAL_VALUE
) -> FloatArray:
    """The chance that ``growth`` times the information decides a claim, on whichever side.

    ``distance``: that of the estimate from its threshold, in standard errors as they are now. The
    next estimate is normal around this one with variance 1 − 1/growth in these units (the truth
    unknown, with a flat prior), and its own standard error is growth^(−1/2). Shapes broadcast;
    a growth of at most 1 adds nothing and decides nothing.
    """
    distance, growth = np.asarray(distance, float), np.asarray(growth, float)
    larger = np.maximum(growth, 1.0 + 1e-9)
    half_width = critical_value / np.sqrt(larger)
    spread = np.sqrt(1.0 - 1.0 / larger)
    chance = stats.norm.cdf((distance - half_width) / spread)
    chance = chance + stats.norm.cdf((-distance - half_width) / spread)
    return np.where(growth > 1.0, chance, 0.0)


def estimate_chance_above(distance: float, growth: float, critical_value: float) -> float:
    """As :func:`estimate_decision_chance`, that of one claim to be decided above its threshold.

    ``distance`` is negative where the estimate lies below it.
    """
    if growth <= 1.0:
        return 0.0
    half_width = critical_value / math.sqrt(growth)
    spread = math.sqrt(1.0 - 1.0 / growth)
    return STANDARD_NORMAL.cdf((distance - half_width) / spread)


def choose_growth(distance: FloatArray, critical_value: float = CRITICAL_VALUE) -> FloatArray:
    """Of :data:`GROWTHS` the one with the greatest chance of a decision for its cost.

    Looks are scarce as well as data, so a look is taken to cost as much as all the data so far:
    growth by a factor g costs g. ``distance``: shape (claims,), as is what is returned.
    """
    growths = np.array(GROWTHS)
    chances = estimate_decision_chance(distance[:, None], growths[None, :], critical_value)
    return np.asarray(growths[np.argmax(chances / growths, axis=1)])


def bound_error_over_looks(p_value: float) -> float:
    """The chance of a false verdict over :data:`MAX_LOOKS` looks that each err with ``p_value``.

    For all policies: 2.85 z − 0.85 times that of a single look, where z is the critical value of
    that look (taken as two-sided, which is the larger factor), at most 1. By simulation the factor
    is 6.8 at z = 2.7 and 9.9 at 3.8 (tests/test_looks.py). NaN stays NaN.
    """
    z = float(stats.norm.isf(p_value / 2.0))
    if math.isinf(z) or math.isnan(z):
        return p_value
    return min(1.0, max(1.0, 2.85 * z - 0.85) * p_value)


def _scale(information: FloatArray, z: FloatArray, goal: float) -> FloatArray:
    """The information at which an unchanged estimate would be ``goal`` standard errors away."""
    factor = (goal / np.maximum(np.abs(z), 1e-9)) ** 2
    return information * np.clip(factor, SMALLEST_GROWTH, LARGEST_GROWTH)


POLICIES: Mapping[str, Policy] = {
    "equal increments": add_equally,
    "four times as much": multiply,
    "planned for a decision": plan_decision,
    "aimed at the threshold": aim_at_threshold,
    "most decisions for the cost": maximise_decisions,
}


def aim_above(information: FloatArray, z: FloatArray, critical_value: float) -> FloatArray:
    """What would decide upwards if the estimate stayed; as much as possible where it is below."""
    return _aim_above(information, z, critical_value, LARGEST_GROWTH)


def aim_above_sparingly(
    information: FloatArray, z: FloatArray, critical_value: float
) -> FloatArray:
    """What would decide upwards if the estimate stayed; as little as possible where it is below."""
    return _aim_above(information, z, critical_value, SMALLEST_GROWTH)


def _aim_above(
    information: FloatArray, z: FloatArray, critical_value: float, otherwise: float
) -> FloatArray:
    aimed = _scale(information, z, critical_value)
    return np.where(z > 0, aimed, information * otherwise)


ONE_SIDED_POLICIES: Mapping[str, Policy] = {
    **POLICIES,
    "hoping for one verdict": aim_above,
    "hoping for one, sparingly": aim_above_sparingly,
}
"""Policies that treat the two verdicts alike, and those of one who hopes for the upper one."""

Sides = Literal["both", "upper"]
"""Which verdicts are false: both, or the upper one only, while the lower one ends the looks."""


def simulate_error(
    critical_value: float,
    looks: int,
    policy: Policy,
    paths: int = 100_000,
    seed: int = 0,
    sides: Sides = "both",
) -> float:
    """The chance that one of several looks gives a false verdict, the truth being on the threshold.

    There a region with two ends has two false verdicts (``both`` sides) and one with a single end
    has one (``upper``, without loss of generality). The estimate at information I is normal with
    variance 1/I, and its sum process a Brownian motion, which is what sums of independent trainings
    tend to.
    """
    generator = np.random.default_rng(seed)
    information: FloatArray = np.ones(paths)
    position: FloatArray = generator.standard_normal(paths)
    is_decided = np.zeros(paths, bool)
    is_false = np.zeros(paths, bool)
    for look in range(looks):
        z = position / np.sqrt(information)
        is_false |= ~is_decided & ((z if sides == "upper" else np.abs(z)) >= critical_value)
        is_decided |= np.abs(z) >= critical_value
        if look < looks - 1:
            larger = policy(information, z, critical_value)
            steps = generator.standard_normal(paths) * np.sqrt(larger - information)
            position, information = position + steps, larger
    return float(is_false.mean())
