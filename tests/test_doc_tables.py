"""The rows that benchmarks print for the documentation."""

from __future__ import annotations

import math

import pytest

from benchmarks.doc_tables import median_range, print_median


def test_the_range_of_medians_of_few_is_that_of_all_subsets():
    """Medians of three of 1 ... 5 are 2, 3, 4, in three, four and three of ten subsets."""
    assert median_range([5, 3, 1, 4, 2], 3) == (2, 4)
    values = list(range(1, 22))
    low, high = median_range(values, 3)
    shares = {m: (m - 1) * (21 - m) / math.comb(21, 3) for m in values}
    assert sum(shares.values()) == pytest.approx(1)
    assert sum(share for m, share in shares.items() if m < low) <= 0.025
    assert sum(share for m, share in shares.items() if m <= low) > 0.025
    assert sum(share for m, share in shares.items() if m > high) <= 0.025


def test_seeds_that_never_get_there_are_larger_than_any_other(capsys):
    print_median("n*", [10.0, 20.0, math.inf, math.inf, 30.0, 40.0, 50.0], 3)
    assert capsys.readouterr().out.split() == ("n* 40 (10–inf), 7 seeds; of 3 20–inf".split())
