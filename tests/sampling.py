"""Which cases of a large product battery run by default.

A battery over learners × targets × schedules × optimizers has hundreds of cases. By default a share
of them runs, the same in every run, such that every single value occurs; ``--exhaustive`` runs all.
A test over other parameters takes part with the marker ``sampled``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

SHARE = 0.3
SEED = 20230401
PRODUCTS = ("learner_on_target", "learner_target_schedule")
"""Arguments that stand for a product of component names."""


def sample_cases(cases: Sequence[tuple[str, ...]], share: float = SHARE) -> list[int]:
    """Indices of the cases that run: a share of them, and enough for every value to occur.

    A value is a component's name at its place of the tuple.
    """
    order = list(range(len(cases)))
    random.Random(SEED).shuffle(order)
    seen: set[tuple[int, str]] = set()
    chosen: list[int] = []
    left_over: list[int] = []
    for index in order:
        values = set(enumerate(cases[index]))
        (left_over if values <= seen else chosen).append(index)
        seen |= values
    missing = max(0, round(share * len(cases)) - len(chosen))
    return sorted([*chosen, *left_over[:missing]])


def sample_items(items: Sequence[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """The collected tests that run and those that are left out."""
    batteries: dict[str, list[pytest.Item]] = {}
    for item in items:
        if _case(item) is not None:
            batteries.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out: set[pytest.Item] = set()
    for battery in batteries.values():
        kept = set(sample_cases([_case(item) or () for item in battery]))
        left_out |= {item for index, item in enumerate(battery) if index not in kept}
    return [i for i in items if i not in left_out], [i for i in items if i in left_out]


def _case(item: pytest.Item) -> tuple[str, ...] | None:
    """The names that a case of a product battery stands for; None for any other test."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    product = next((parameters[name] for name in PRODUCTS if name in parameters), ())
    if not product and item.get_closest_marker("sampled") is None:
        return None
    others = [str(value) for name, value in sorted(parameters.items()) if name not in PRODUCTS]
    return (*product, *others)
