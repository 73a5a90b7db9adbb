"""Which cases of a large product battery run by default.

A battery over learners × targets × schedules × optimizers has hundreds of cases. By default a
covering design of them runs: few cases, the same in every run, among which every component occurs,
and every learner with every value of what else the test varies (the optimizer, say). Each test has
a design of its own, so the tests of one battery cover many more combinations together.
``--exhaustive`` runs all. A test over other parameters takes part with the marker ``sampled``.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Hashable, Sequence

import pytest

PRODUCTS = ("learner_on_target", "learner_target_schedule")
"""Arguments that stand for a product of component names."""


def sample_cases(cases: Sequence[Collection[Hashable]], seed: str = "") -> list[int]:
    """Indices of cases among which every value occurs, in ascending order.

    A case is a collection of values. The next case is one with as many missing values as possible;
    which of several depends on ``seed`` alone.
    """
    order = list(range(len(cases)))
    random.Random(seed).shuffle(order)
    values = [set(case) for case in cases]
    missing = set().union(*values)
    chosen: list[int] = []
    while missing:
        best = max(order, key=lambda index: len(values[index] & missing))
        chosen.append(best)
        missing -= values[best]
    return sorted(chosen)


def sample_items(items: Sequence[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """The collected tests that run and those that are left out."""
    batteries: dict[str, list[pytest.Item]] = {}
    for item in items:
        if _values(item):
            batteries.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out: set[pytest.Item] = set()
    for name, battery in batteries.items():
        chosen = set(sample_cases([_values(item) for item in battery], seed=name))
        left_out |= {item for index, item in enumerate(battery) if index not in chosen}
    return [i for i in items if i not in left_out], [i for i in items if i in left_out]


def _values(item: pytest.Item) -> set[Hashable]:
    """What a case of a product battery stands for; nothing for any other test."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    product = next((parameters[name] for name in PRODUCTS if name in parameters), ())
    if not product and item.get_closest_marker("sampled") is None:
        return set()
    values: set[Hashable] = set(enumerate(product))
    for name, value in parameters.items():
        if name not in PRODUCTS:
            values.add((*product[:1], name, str(value)))
    return values
