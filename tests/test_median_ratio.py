"""The ratio of two medians against scipy, enumerated rankings and simulated truths."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from bfc.stats.estimates import LEVEL
from bfc.stats.median_ratio import MedianRatio, _count_rankings, _mann_whitney_rank

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999)
DRAWS = np.random.default_rng(0).lognormal(size=(2, 40))


@pytest.mark.parametrize("first, second", [(3, 5), (6, 4), (5, 5)])
def test_rankings_are_counted_as_by_enumeration(first, second):
    counts = np.zeros(first * second + 1)
    for ranks in itertools.combinations(range(first + second), first):
        counts[sum(ranks) - first * (first - 1) // 2] += 1
    assert _count_rankings(first, second) == pytest.approx(counts)


@pytest.mark.parametrize("first, second", [(6, 6), (7, 12), (30, 30), (31, 40)])
def test_the_interval_holds_the_ratios_that_the_test_of_mann_and_whitney_keeps(first, second):
    """Just inside an end the shift is kept at the level, just outside it is rejected."""
    over, under = DRAWS[0, :first], DRAWS[1, :second]
    exact = first * second <= 900
    lo, hi = MedianRatio(over, under).interval(LEVEL)
    for end, outwards in ((lo, 1 / 1.0001), (hi, 1.0001)):
        inside, outside = end / outwards, end * outwards
        assert p_value(over / inside, under, exact) > 1 - LEVEL
        assert p_value(over / outside, under, exact) <= 1 - LEVEL


def p_value(over, under, exact: bool) -> float:
    method = "exact" if exact else "asymptotic"
    return float(stats.mannwhitneyu(over, under, method=method, use_continuity=True).pvalue)


def test_few_values_have_the_interval_of_welch():
    over, under = DRAWS[0, :4], DRAWS[1, :5]
    test = stats.ttest_ind(np.log(over), np.log(under), equal_var=False)
    for level in LEVELS:
        ends = np.exp(np.array(test.confidence_interval(level)))
        assert MedianRatio(over, under).interval(level) == pytest.approx(ends)


def test_intervals_grow_with_the_level_and_turn_with_the_ratio():
    for count in (3, 6, 8, 40):
        ratio = MedianRatio(DRAWS[0, :count], DRAWS[1, :count])
        ends = [ratio.interval(level) for level in LEVELS]
        assert all(a[0] >= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(ends))
        turned = MedianRatio(ratio.under, ratio.over).interval(LEVEL)
        assert ratio.interval(LEVEL) == pytest.approx((1 / turned[1], 1 / turned[0]))


def test_a_level_that_no_ranking_reaches_takes_the_whole_range():
    over, under = DRAWS[0, :6], DRAWS[1, :6]
    assert _mann_whitney_rank(6, 6, 0.9999) == 0 < _mann_whitney_rank(6, 6, 0.99)
    lo, hi = MedianRatio(over, under).interval(0.9999)
    assert lo <= over.min() / under.max() and hi >= over.max() / under.min()


def test_infinite_values_are_larger_than_any_other():
    over = under = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, math.inf])
    lo, hi = MedianRatio(over, under).interval(LEVEL)
    assert 0 < lo < 1 < hi < math.inf
    assert all(map(math.isnan, MedianRatio(over[-3:], under[:3]).interval(LEVEL)))
    assert MedianRatio(np.ones(3), np.zeros(3)).value == math.inf
    assert math.isnan(MedianRatio(np.zeros(3), np.zeros(3)).value)


def test_it_covers_where_the_two_spreads_differ_threefold():
    """Beyond the assumption of a shift: symmetric logarithms of different spread."""
    generator = np.random.default_rng(3)
    covered = []
    for _ in range(1500):
        over = np.exp(0.6 * generator.standard_t(3, 8))
        under = np.exp(0.2 * generator.standard_t(3, 8))
        lo, hi = MedianRatio(over, under).interval(LEVEL)
        covered.append(lo <= 1 <= hi)
    assert np.mean(covered) >= LEVEL - 2 * math.sqrt(LEVEL * (1 - LEVEL) / 1500)
