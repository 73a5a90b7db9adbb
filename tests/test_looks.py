"""The chance of a false verdict over all looks, by simulation and against published constants."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bfc.stats.looks import (
    CRITICAL_VALUE,
    GROWTHS,
    LARGEST_GROWTH,
    MAX_LOOKS,
    ONE_SIDED_CRITICAL_VALUE,
    ONE_SIDED_POLICIES,
    POCOCK,
    POLICIES,
    REPEATED_LEVEL,
    Sides,
    add_equally,
    bound_error_over_looks,
    choose_growth,
    estimate_decision_chance,
    multiply,
    simulate_error,
)
from bfc.stats.worst_policy import bound_error

PATHS = 200_000
NOISE = 4.0 * math.sqrt(0.05 * 0.95 / PATHS)
"""Four standard errors of a simulated error of 5 %."""


@pytest.mark.parametrize(("looks", "constant"), POCOCK.items())
def test_published_constants_are_reproduced_for_equal_increments(
    looks: int, constant: float
) -> None:
    assert simulate_error(constant, looks, add_equally, PATHS) == pytest.approx(0.05, abs=NOISE)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_error_over_all_looks_is_at_most_five_percent(policy: str) -> None:
    assert simulate_error(CRITICAL_VALUE, MAX_LOOKS, POLICIES[policy], PATHS) <= 0.05


@pytest.mark.parametrize("policy", [name for name in POLICIES if POLICIES[name] is not add_equally])
def test_published_constants_do_not_hold_where_data_grow_otherwise(policy: str) -> None:
    """Which is why there is a constant of this program."""
    assert simulate_error(POCOCK[MAX_LOOKS], MAX_LOOKS, POLICIES[policy], PATHS) > 0.05 + NOISE


def test_the_level_has_the_half_width_of_the_critical_value() -> None:
    assert stats.norm.ppf(0.5 + REPEATED_LEVEL / 2) == pytest.approx(CRITICAL_VALUE)


@pytest.mark.parametrize("growth", GROWTHS)
@pytest.mark.parametrize("distance", [0.0, 1.0, 2.5])
def test_the_chance_of_a_decision_is_that_of_simulated_truths(
    distance: float, growth: float
) -> None:
    """Truths around the estimate, then estimates from growth − 1 times the data around a truth."""
    generator = np.random.default_rng(0)
    truth = distance + generator.standard_normal(PATHS)
    added = truth + generator.standard_normal(PATHS) / math.sqrt(growth - 1.0)
    pooled = (distance + (growth - 1.0) * added) / growth
    share = float((np.abs(pooled) * math.sqrt(growth) >= CRITICAL_VALUE).mean())
    assert float(estimate_decision_chance(distance, growth)) == pytest.approx(share, abs=0.005)


def test_data_that_do_not_grow_decide_nothing() -> None:
    assert estimate_decision_chance(np.array([0.0, 2.6]), 1.0).tolist() == [0.0, 0.0]


def test_a_claim_far_from_its_threshold_is_given_less_than_one_near_it() -> None:
    near, far = choose_growth(np.array([0.3, 2.5]))
    assert near == max(GROWTHS) and far < near


@pytest.mark.parametrize("policy", ONE_SIDED_POLICIES)
def test_the_error_of_a_single_threshold_is_at_most_five_percent(policy: str) -> None:
    """Also where who adds data hopes for the false verdict."""
    chosen = ONE_SIDED_POLICIES[policy]
    assert simulate_error(ONE_SIDED_CRITICAL_VALUE, MAX_LOOKS, chosen, PATHS, sides="upper") <= 0.05


def test_a_plain_one_sided_bound_does_not_hold_over_several_looks() -> None:
    one_look = simulate_error(1.645, 1, add_equally, PATHS, sides="upper")
    assert one_look == pytest.approx(0.05, abs=NOISE)
    assert simulate_error(1.645, MAX_LOOKS, add_equally, PATHS, sides="upper") > 0.05 + NOISE


def test_two_sides_err_as_often_as_both_one_sides() -> None:
    """A policy that treats the verdicts alike splits its errors evenly."""
    policy = POLICIES["aimed at the threshold"]
    both, upper = (
        simulate_error(ONE_SIDED_CRITICAL_VALUE, MAX_LOOKS, policy, PATHS, sides=sides)
        for sides in ("both", "upper")
    )
    assert upper == pytest.approx(both / 2, abs=NOISE)


@pytest.mark.parametrize("critical_value", [2.7, 3.5])
def test_the_error_over_looks_is_bounded_from_that_of_one(critical_value: float) -> None:
    """By at most a third more than the worst policy errs."""
    one_look = 2.0 * float(stats.norm.sf(critical_value))
    bound = bound_error_over_looks(one_look)
    errors = [
        simulate_error(critical_value, MAX_LOOKS, policy, PATHS) for policy in POLICIES.values()
    ]
    noise = 3.0 * math.sqrt(bound / PATHS)
    assert bound / 1.33 - noise <= max(errors) <= bound + noise
    one_sided = bound_error_over_looks(one_look / 2.0)
    for policy in ONE_SIDED_POLICIES.values():
        error = simulate_error(critical_value, MAX_LOOKS, policy, PATHS, sides="upper")
        assert error <= one_sided + noise


def test_the_error_over_looks_of_extreme_p_values() -> None:
    assert bound_error_over_looks(0.0) == 0.0 and bound_error_over_looks(1.0) == 1.0
    assert bound_error_over_looks(0.6) >= 0.6 and math.isnan(bound_error_over_looks(math.nan))


@pytest.mark.parametrize("sides", ["both", "upper"])
def test_the_bound_of_one_growth_is_the_error_of_the_policy_that_has_it(sides: Sides) -> None:
    """Where there is nothing to choose, the backward recursion and a simulation must agree."""
    bound = bound_error(1.96, MAX_LOOKS, [LARGEST_GROWTH], sides)
    error = simulate_error(1.96, MAX_LOOKS, multiply, PATHS, sides=sides)
    assert bound == pytest.approx(error, abs=NOISE * 2.0)


@pytest.mark.parametrize(
    ("sides", "critical_value"), [("both", CRITICAL_VALUE), ("upper", ONE_SIDED_CRITICAL_VALUE)]
)
def test_no_way_of_adding_data_errs_in_more_than_five_percent(
    sides: Sides, critical_value: float
) -> None:
    """Whatever is chosen by what was seen, up to :data:`LARGEST_GROWTH` times the data a look."""
    growths = np.geomspace(1.02, LARGEST_GROWTH, 24)
    bound = bound_error(critical_value, MAX_LOOKS, growths, sides)
    assert bound <= 0.05
    policies = POLICIES if sides == "both" else ONE_SIDED_POLICIES
    errors = [
        simulate_error(critical_value, MAX_LOOKS, policy, PATHS, sides=sides)
        for policy in policies.values()
        if policy is not add_equally
    ]
    assert max(errors) <= bound + NOISE, "which it is for every policy that is simulated"
