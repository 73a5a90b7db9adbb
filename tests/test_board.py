"""P-values of verdicts against closed forms, and Benjamini–Hochberg against scipy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.board import (
    ERROR,
    compute_p_value,
    describe_board,
    find_standing,
    mark_standing,
)
from analysis.verdicts import Measurement, Part, judge
from bfc.stats.estimates import Certified, WithStandardError
from bfc.stats.looks import REPEATED_LEVEL, bound_error_over_looks


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


def tabulate(*claims: tuple[str, float, str]) -> pd.DataFrame:
    return pd.DataFrame(claims, columns=["verdict", "p_value", "source"])


BORDERLINE = ("reproduced", 1.0 - REPEATED_LEVEL, "d = 8")
OPEN = ("undecided", math.nan, "d = 8")


@pytest.mark.parametrize(("num_open", "stands"), [(0, True), (2, False)])
def test_claims_that_stay_undecided_count_among_those_tested(num_open: int, stands: bool) -> None:
    """A single verdict that only just clears its interval stands alone, and not among others."""
    marked = mark_standing(tabulate(BORDERLINE, *[OPEN] * num_open))
    assert marked["stands"].tolist() == [stands] + [False] * num_open
    errors = [bound_error_over_looks(BORDERLINE[1]), *[1.0] * num_open]
    assert (stats.false_discovery_control(errors)[0] <= ERROR) == stands


def test_what_is_certified_or_not_run_is_no_test() -> None:
    """Certified claims stand, and lend their p-value of zero to no other."""
    certified, not_run = ("reproduced", 0.0, "certified"), ("not run", math.nan, "")
    open_certified = ("undecided", math.nan, "certified")
    table = mark_standing(
        tabulate(*[certified] * 9, BORDERLINE, OPEN, OPEN, not_run, open_certified)
    )
    assert table["stands"].tolist() == [True] * 9 + [False] * 5
    text = describe_board(table)
    assert text.startswith("Of 3 claims judged from random draws 1 is decided; chance alone")
    assert "at most 0.2 false verdicts; 0 stand after" in text
    assert describe_board(mark_standing(tabulate(certified, not_run))) == ""
    assert describe_board(mark_standing(tabulate())) == ""
