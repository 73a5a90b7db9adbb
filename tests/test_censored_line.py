"""A slope through censored values, against least squares and simulated truths."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bfc.stats.censored_line import CensoredSlope, fit_known

X = np.array([0.0, 0.7, 1.4, 2.1, 0.0, 0.7, 1.4, 2.1])
GROUP = np.repeat([0, 1], 4)


def draw(generator: np.random.Generator, slope: float = 0.6) -> np.ndarray:
    return 3.0 + 2.0 * GROUP + slope * X + 0.2 * generator.standard_normal(len(X))


def cut(y: np.ndarray, at: float) -> CensoredSlope:
    """Values of the second group above ``at`` are not known."""
    is_cut = (y > at) & (GROUP == 1)
    return CensoredSlope(X, np.where(is_cut, at, y), np.where(is_cut, math.inf, y), GROUP)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.993])
def test_without_a_censored_value_it_is_least_squares_with_students_interval(level) -> None:
    y = draw(np.random.default_rng(0))
    censored, known = CensoredSlope(X, y, y, GROUP), fit_known(X, y, GROUP)
    assert censored.value == pytest.approx(known.value, abs=1e-4)
    assert censored.interval(level) == pytest.approx(known.interval(level), abs=2e-3)


def test_a_bound_that_says_nothing_changes_nothing() -> None:
    """One that may lie anywhere widens the interval by its count alone."""
    y = draw(np.random.default_rng(1))
    lowers, uppers = y.copy(), y.copy()
    lowers[3], uppers[3] = -math.inf, math.inf
    rest = np.arange(len(y)) != 3
    known = fit_known(X[rest], y[rest], GROUP[rest])
    censored = CensoredSlope(X, lowers, uppers, GROUP)
    assert censored.value == pytest.approx(known.value, abs=1e-3)
    lo, hi = censored.interval(0.95)
    assert lo <= known.interval(0.95)[0] + 1e-3 and hi >= known.interval(0.95)[1] - 1e-3


def test_censored_values_do_not_bend_the_line() -> None:
    """Without those above a bound the slope comes out too small; with the bound it does not."""
    generator = np.random.default_rng(2)
    with_bounds, without = [], []
    for _ in range(40):
        estimate = cut(draw(generator), at=5.9)
        is_known = estimate.lowers == estimate.uppers
        with_bounds.append(estimate.value)
        without.append(fit_known(X[is_known], estimate.lowers[is_known], GROUP[is_known]).value)
    error = np.std(with_bounds) / math.sqrt(len(with_bounds))
    assert abs(np.mean(with_bounds) - 0.6) < 3 * error
    assert np.mean(without) < np.mean(with_bounds)


def test_the_interval_covers() -> None:
    generator = np.random.default_rng(3)
    count = 60
    covered = 0
    for _ in range(count):
        lo, hi = cut(draw(generator), at=5.9).interval(0.95)
        covered += lo <= 0.6 <= hi
    assert covered / count >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / count)


def test_too_few_known_values_give_no_interval() -> None:
    y = draw(np.random.default_rng(4))
    uppers = np.where(np.arange(len(y)) % 4 > 0, math.inf, y)
    censored = CensoredSlope(X, y, uppers, GROUP)
    assert math.isnan(censored.value) and all(map(math.isnan, censored.interval(0.95)))
