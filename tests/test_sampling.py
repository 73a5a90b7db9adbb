"""The sample of a product battery: the same every time, and no value is missing."""

from __future__ import annotations

import itertools

from sampling import sample_cases

PRODUCT = list(itertools.product("abcdefg", "uvwxyz", "123"))
CASES = [set(enumerate(case)) for case in PRODUCT]


def test_every_value_occurs_in_as_few_cases_as_possible():
    chosen = sample_cases(CASES)
    assert len(chosen) == 7 == len(set(chosen))
    assert set().union(*(CASES[index] for index in chosen)) == set().union(*CASES)


def test_pairs_that_are_values_occur_too():
    cases = [{*case, (names[0], names[2])} for case, names in zip(CASES, PRODUCT, strict=True)]
    chosen = sample_cases(cases)
    assert len(chosen) == 21
    assert len({(PRODUCT[index][0], PRODUCT[index][2]) for index in chosen}) == 21


def test_the_sample_is_the_same_every_time_and_another_for_another_test():
    assert sample_cases(CASES, "a test") == sample_cases(CASES, "a test")
    assert sample_cases(CASES, "a test") != sample_cases(CASES, "another test")


def test_a_battery_whose_cases_share_nothing_runs_whole():
    diagonal = [set(enumerate(case)) for case in ("au", "bv", "cw")]
    assert sample_cases(diagonal) == [0, 1, 2]
    assert sample_cases([]) == []
