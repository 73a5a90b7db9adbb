"""The sample of a product battery: the same every time, and no value is missing."""

from __future__ import annotations

import itertools

from sampling import SHARE, sample_cases

CASES = list(itertools.product("abcdefg", "uvwxyz", "123"))


def test_every_value_occurs_and_the_share_is_kept():
    chosen = [CASES[index] for index in sample_cases(CASES)]
    assert len(chosen) == round(SHARE * len(CASES)) == len(set(chosen))
    for place in range(3):
        assert {case[place] for case in chosen} == {case[place] for case in CASES}


def test_the_sample_is_the_same_every_time():
    assert sample_cases(CASES) == sample_cases(CASES)


def test_a_small_battery_still_shows_every_value():
    diagonal = [("a", "u"), ("b", "v"), ("c", "w")]
    assert sample_cases(diagonal) == [0, 1, 2]


def test_everything_is_kept_with_a_share_of_one():
    assert sample_cases(CASES, share=1.0) == list(range(len(CASES)))
