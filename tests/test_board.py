"""P-values of verdicts against closed forms, and Benjamini–Hochberg against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.board import ERROR, compute_p_value, find_standing
from analysis.verdicts import Measurement, Part, judge
from bfc.stats.estimates import Certified, WithStandardError


def measure(*values: float, at_least: float = 0.0, at_most: float = math.inf) -> Measurement:
    parts = [Part(WithStandardError(value, 1.0), f"d = {d}") for d, value in enumerate(values)]
    return Measurement(parts, at_least, at_most)


def p_value(measurement: Measurement) -> float:
    return compute_p_value(measurement, judge(measurement))


def test_a_p_value_is_that_of_the_normal_distribution() -> None:
    """One-sided for a region with one end, two-sided for one with two."""
    assert p_value(measure(3.0)) == pytest.approx(stats.norm.sf(3.0), rel=1e-4)
    assert p_value(measure(-2.5)) == pytest.approx(stats.norm.sf(2.5), rel=1e-4)
    assert p_value(measure(3.0, at_most=1e3)) == pytest.approx(2 * stats.norm.sf(3.0), rel=1e-4)


def test_an_intersection_has_the_largest_of_its_parts_and_bonferroni_against_it() -> None:
    assert p_value(measure(3.0, 5.0)) == pytest.approx(stats.norm.sf(3.0), rel=1e-4)
    assert p_value(measure(-4.0, 5.0)) == pytest.approx(2 * stats.norm.sf(4.0), rel=1e-4)


def test_what_is_not_decided_has_none_and_what_is_certified_zero() -> None:
    assert math.isnan(p_value(measure(0.5))) and math.isnan(p_value(Measurement(missing="x")))
    assert p_value(Measurement([Part(Certified(1.0, 1.0, 1.0))], 0.0)) == 0.0


def test_what_stands_is_what_scipy_says() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        values = generator.uniform(size=20) ** generator.integers(1, 6)
        expected = stats.false_discovery_control(values) <= ERROR
        assert find_standing(values.tolist()) == expected.tolist()
        mixed = [*values, math.nan]
        assert find_standing(mixed) == [*expected.tolist(), False]
    assert find_standing([]) == []
