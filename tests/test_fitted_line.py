"""What of the error of an exponent no number of seeds lowers, against simulated lines."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analysis.fitted_line import FittedLine, compute_fixed_share, describe_scarce_sizes
from bfc.stats.estimates import Rescaled

DIMENSIONS = (8, 12, 16, 24, 32)


def make_line(error: float, tau: float) -> FittedLine:
    trainings = pd.DataFrame({"d": DIMENSIONS * 3})
    return FittedLine(Rescaled(1.0, 1.0 - 1.96 * error, 1.0 + 1.96 * error, False), trainings, tau)


def test_it_is_the_error_of_a_slope_through_values_that_scatter() -> None:
    generator = np.random.default_rng(0)
    logs = np.log(DIMENSIONS)
    tau, noise = 0.2, 0.3
    values = logs + tau * generator.standard_normal((20_000, len(logs)))
    scatter = np.polyfit(logs, values.T, 1)[0].var()
    values = values + noise * generator.standard_normal(values.shape)
    whole = np.polyfit(logs, values.T, 1)[0].var()
    line = make_line(math.sqrt(whole), tau)
    assert compute_fixed_share(line) == pytest.approx(scatter / whole, rel=0.05)


def test_a_difference_has_the_errors_of_both() -> None:
    first, second = make_line(0.3, 0.0), make_line(0.1, 0.05)
    fixed = second.fixed_squared_error
    assert compute_fixed_share(first, second) == pytest.approx(fixed / 0.1, rel=1e-3)


def test_it_is_at_most_the_whole_and_nothing_where_it_is_unknown() -> None:
    assert compute_fixed_share(make_line(0.1, 9.0)) == 1.0
    assert compute_fixed_share(make_line(0.1, math.nan)) == 0.0
    assert compute_fixed_share(make_line(math.nan, 0.1)) == 0.0


@pytest.mark.parametrize(
    "sizes, words",
    [((8, 12), "two values of d"), ((8, 12, 16), "three values of d"), (DIMENSIONS, ""), ((), "")],
)
def test_two_or_three_sizes_are_scarce(sizes: tuple[int, ...], words: str) -> None:
    line = FittedLine(Rescaled(1.0, 0.0, 2.0, False), pd.DataFrame({"d": sizes * 3}), 0.1)
    assert describe_scarce_sizes(line) == words
    assert describe_scarce_sizes(make_line(0.1, 0.1), line) == words, "the scarcer of two lines"
