"""Estimates with intervals, against scipy, closed forms and simulated truths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bfc.stats.estimate_pairs import Difference, Ratio
from bfc.stats.estimates import (
    LEVEL,
    Certified,
    Rescaled,
    SampleMean,
    SampleMedian,
    Share,
    WithStandardError,
)

NAN, INF = math.nan, math.inf
LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
DRAWS = np.random.default_rng(0).lognormal(size=257)


def has_no_interval(estimate, level=LEVEL) -> bool:
    return all(map(math.isnan, estimate.interval(level)))


@pytest.mark.parametrize("count", [6, 7, 16, 48, 257])
def test_the_interval_of_a_median_is_that_of_order_statistics(count):
    """scipy inverts the binomial test of the median, one side at a time."""
    draws = DRAWS[:count]
    tail = (1 + LEVEL) / 2
    test = stats.quantile_test(draws, p=0.5, alternative="greater")
    lo = test.confidence_interval(tail).low
    hi = stats.quantile_test(draws, p=0.5, alternative="less").confidence_interval(tail).high
    assert SampleMedian(draws).interval(LEVEL) == pytest.approx((lo, hi))
    assert SampleMedian(draws).value == np.median(draws)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_median_of_few_values_has_the_interval_of_student(count):
    draws = DRAWS[:count]
    logs = np.log(draws)
    log_ends = np.exp(stats.ttest_1samp(logs, 0).confidence_interval(LEVEL))
    ends = tuple(stats.ttest_1samp(draws, 0).confidence_interval(LEVEL))
    hull = min(log_ends[0], ends[0]), max(log_ends[1], ends[1])
    for scale, want in (("log", log_ends), ("linear", ends), ("either", hull)):
        assert SampleMedian(draws, scale=scale).interval(LEVEL) == pytest.approx(tuple(want))
    negative = SampleMedian(-draws, scale="either").interval(LEVEL)
    assert negative == pytest.approx((-ends[1], -ends[0]))


def test_levels_beyond_the_range_of_six_values_contain_that_range():
    six = SampleMedian(np.array([1.0, 2, 2, 2, 2, 50]))
    assert six.interval(LEVEL) == (1, 50)
    lo, hi = six.interval(0.99)
    assert lo <= 1 and hi >= 50


@pytest.mark.parametrize(
    "values, scale",
    [
        ([], "log"),
        ([1.0], "log"),
        ([1.0, 1, 1], "log"),
        ([1.0, 2, INF], "log"),
        ([1.0, 2, NAN], "log"),
        ([0.0, 1, 2], "log"),
        ([-1.0, 1, 2], "log"),
        ([1.0, 1, 1], "linear"),
    ],
)
def test_a_median_has_no_interval_where_the_values_do_not_give_one(values, scale):
    assert has_no_interval(SampleMedian(np.array(values), scale=scale))


def test_unknown_and_censored_values_count_for_what_they_say():
    values = np.arange(1.0, 9)
    assert SampleMedian(values).interval(LEVEL) == (1, 8)
    assert SampleMedian(np.append(values, INF)).interval(LEVEL) == (2, 8)
    assert SampleMedian(np.append(values, [INF, NAN])).interval(LEVEL) == (1, INF)
    above = SampleMedian(np.full(8, 9.0), np.full(8, 9.0), np.full(8, INF))
    assert above.value == 9 and above.interval(LEVEL) == (9, INF)
    below = SampleMedian(np.full(8, 2.0), np.full(8, 0.0), np.full(8, 2.0))
    assert below.interval(LEVEL) == (0, 2)
    few = SampleMedian(values[:3], values[:3], np.append(values[:2], INF))
    assert has_no_interval(few)


def test_the_mean_has_the_interval_of_student():
    draws = DRAWS[:9]
    want = tuple(stats.ttest_1samp(draws, 0).confidence_interval(LEVEL))
    assert SampleMean(draws).interval(LEVEL) == pytest.approx(want)
    for values in ([], [1.0], [1.0, 1], [1.0, NAN], [1.0, INF]):
        assert has_no_interval(SampleMean(np.array(values)))
    bootstrap = stats.bootstrap((DRAWS,), np.mean, rng=np.random.default_rng(1))
    ends = SampleMean(DRAWS).interval(LEVEL)
    assert ends == pytest.approx(tuple(bootstrap.confidence_interval), rel=0.05)


def test_a_standard_error_gives_normal_or_student_ends():
    for freedom, quantile in ((INF, stats.norm.ppf(0.975)), (4, stats.t.ppf(0.975, 4))):
        ends = WithStandardError(2.0, 0.5, freedom).interval(LEVEL)
        assert ends == pytest.approx((2 - 0.5 * quantile, 2 + 0.5 * quantile))
    assert has_no_interval(WithStandardError(2.0, NAN))


@pytest.mark.parametrize("count", [1, 8, 16, 48])
def test_a_share_has_the_exact_interval(count):
    for successes in range(count + 1):
        for level in LEVELS:
            want = stats.binomtest(successes, count).proportion_ci(level, "exact")
            share = Share(successes, count)
            assert share.interval(level) == pytest.approx((want.low, want.high))
    assert has_no_interval(Share(0, 0)) and math.isnan(Share(0, 0).value)


def test_a_share_of_trials_that_share_draws_lies_between_its_neighbours():
    lo, hi = Share(7.5, 16).interval(LEVEL)
    for end, low, high in zip(
        (lo, hi), Share(7, 16).interval(LEVEL), Share(8, 16).interval(LEVEL), strict=True
    ):
        assert low < end < high


def test_rescaled_intervals_are_normal_and_keep_open_ends():
    logs = WithStandardError(math.log(3.0), 0.4)
    lo, hi = np.exp(logs.interval(LEVEL))
    for level in LEVELS:
        want = tuple(np.exp(logs.interval(level)))
        assert Rescaled(3.0, lo, hi).interval(level) == pytest.approx(want)
    plain = WithStandardError(1.0, 0.4)
    rescaled = Rescaled(1.0, *plain.interval(LEVEL), in_logs=False)
    assert rescaled.interval(0.99) == pytest.approx(plain.interval(0.99))
    assert Rescaled(9.0, 4.0, INF).interval(0.99)[1] == INF
    assert Rescaled(9.0, 0.0, 12.0).interval(0.99)[0] == 0
    assert Rescaled(NAN, 2.0, INF).interval(LEVEL) == (2.0, INF)
    assert has_no_interval(Rescaled(NAN, 2.0, INF), 0.99)
    assert has_no_interval(Rescaled(NAN, NAN, NAN))


def test_differences_and_ratios_of_normal_estimates_are_exact():
    first, second = WithStandardError(2.0, 0.3), WithStandardError(0.5, 0.4)
    want = WithStandardError(1.5, 0.5).interval(LEVEL)
    difference = Difference(first, second)
    assert difference.interval(LEVEL) == pytest.approx(want) and difference.value == 1.5
    over, under = (Rescaled(math.exp(e.value), *np.exp(e.interval(LEVEL))) for e in (first, second))
    ratio = Ratio(over, under)
    assert ratio.interval(LEVEL) == pytest.approx(tuple(np.exp(want)))
    assert ratio.value == pytest.approx(math.exp(1.5))


def test_open_ends_and_missing_intervals_of_ratios():
    closed, above = Rescaled(10.0, 8.0, 12.0), Rescaled(90.0, 80.0, INF)
    lo, hi = Ratio(above, closed).interval(LEVEL)
    assert 80 / 12 < lo < 9 and hi == INF
    lo, hi = Ratio(closed, above).interval(LEVEL)
    assert lo == 0 and 10 / 90 < hi < 12 / 80
    assert has_no_interval(Ratio(closed, Rescaled(NAN, NAN, NAN)))
    assert has_no_interval(Ratio(SampleMedian(np.array([1.0])), closed))
    diverged = SampleMedian(np.array([1.0, 2, 3, INF, INF, INF, INF, INF]))
    lo, hi = Ratio(diverged, closed).interval(LEVEL)
    assert Ratio(diverged, closed).value == INF and lo <= 1 / 8 and hi == INF
    zero = Rescaled(1.0, -0.5, 2.5, in_logs=False)
    assert Ratio(zero, closed).interval(LEVEL)[0] == 0


@pytest.mark.parametrize("level", LEVELS)
def test_certified_bounds_do_not_depend_on_the_level(level):
    assert Certified(2.0, 1.0, 3.0).interval(level) == (1.0, 3.0)


ESTIMATES = [
    SampleMedian(DRAWS[:2]),
    SampleMedian(DRAWS[:5], scale="either"),
    SampleMedian(DRAWS[:6]),
    SampleMedian(DRAWS[:9], scale="linear"),
    SampleMedian(DRAWS),
    SampleMean(DRAWS[:4]),
    WithStandardError(1.0, 0.2, 3),
    Share(0, 9),
    Share(4.5, 9),
    Rescaled(2.0, 1.0, 3.0),
    Rescaled(2.0, 1.0, INF, in_logs=False),
    Certified(2.0, 1.0, 3.0),
    Ratio(SampleMedian(DRAWS[:6]), SampleMedian(DRAWS[6:15])),
    Difference(SampleMean(DRAWS[:6]), WithStandardError(1.0, 0.2)),
]


@pytest.mark.parametrize("estimate", ESTIMATES, ids=lambda estimate: type(estimate).__name__)
def test_intervals_grow_with_the_level(estimate):
    """At the levels that judge: 95 % and above."""
    levels = (0.95, 0.96, 0.97, 0.975, 0.98, 0.99, 0.995, 0.999)
    ends = np.array([estimate.interval(level) for level in levels])
    with np.errstate(invalid="ignore"):
        steps = np.nan_to_num(np.diff(ends, axis=0))
    assert (steps[:, 0] <= 1e-12).all() and (steps[:, 1] >= -1e-12).all()
    assert not np.isnan(ends).any()
