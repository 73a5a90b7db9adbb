"""Which cells a claim reads, by what it says of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bfc.application.claim_reads import select_jobs, select_read

LEARNER = {"learner": {"widths": [64, 64]}, "baseline": None}
UNIFORM = {"law": "uniform"}
MIXTURE = {"law": {"components": 3}, "sets": [[1, 2], [3]]}


def make_job(method: str, d: int = 8, n: int = 64, **config: Any) -> Any:
    spec = SimpleNamespace(
        method=method, kind="learner", config={"d": d, "L": 2, **LEARNER, **config}
    )
    measure = SimpleNamespace(largest_n=n)
    return SimpleNamespace(
        cells=(spec,), job=SimpleNamespace(measure=measure, learner=True, baseline=None)
    )


def reads(job: Any, **thresholds: Any) -> bool:
    return bool(select_jobs({"thresholds": {"method": "a", **thresholds}}, [job]))


@pytest.mark.parametrize(
    ("where", "is_read"),
    [
        ({"target.law.components": 3}, True),
        ({"target.law.components": 2}, False),
        ({"target.law": "uniform"}, False),
        ({"target.noise": 0.1}, False),
        ({"target.noise": None}, True),
        ({"target.sets.0": [1, 2]}, True),
        ({"learner.widths": [64, 64]}, True),
        ({"learner.width": 64}, False),
        ({"baseline.ridge": 1e-6}, True),
        ({"n": 512}, True),
    ],
)
def test_a_component_without_a_field_has_no_value_of_it(where: dict, is_read: bool) -> None:
    """What is no part of a configuration restricts nothing."""
    assert reads(make_job("a", target=MIXTURE), where=where) == is_read


def test_a_law_that_is_a_name_has_no_components() -> None:
    job = make_job("a", target=UNIFORM)
    assert not reads(job, where={"target.law.components": 3})
    assert reads(job, where={"target.law": "uniform"})


def test_a_range_of_d_and_an_n_bound_what_is_read() -> None:
    job = make_job("a", d=16, n=128)
    assert reads(job, from_d=16, to_d=16, n=128) and reads(job, n=None)
    assert not reads(job, from_d=17)
    assert not reads(job, to_d=15)
    assert not reads(job, n=129), "its largest n is smaller"


def test_some_claim_reads_what_is_selected_and_certified_ones_take_anything() -> None:
    jobs = [make_job(method) for method in "abc"]
    claims = [{"thresholds": {"method": method}} for method in "ab"]
    assert select_read(claims, jobs) == jobs[:2]
    assert select_read([{"thresholds": {"d": 8}}], jobs) == jobs
