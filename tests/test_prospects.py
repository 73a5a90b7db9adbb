"""The chance that more data decide a claim, and what is stored of its cells."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analysis.prospects import (
    FIRST_INTERVAL_SEEDS,
    UNKNOWN_CHANCE,
    Stock,
    make_prospect,
    take_stock,
)
from analysis.source import Source
from analysis.verdicts import Measurement, Part, Verdict, judge
from bfc.stats.estimates import Rescaled, SampleMedian, WithStandardError
from bfc.stats.looks import (
    ONE_SIDED_CRITICAL_VALUE,
    REPEATED_LEVEL,
    estimate_decision_chance,
)


def measure(*values: float, error: float = 1.0) -> Measurement:
    """One part per value, each from a cell of its own, against a threshold of 0."""
    parts = [
        Part(WithStandardError(value, error), f"place {i}", frozenset({f"c{i}"}))
        for i, value in enumerate(values)
    ]
    cells = frozenset().union(*(part.cells for part in parts))
    return Measurement(parts, 0.0, source=Source(seeds=8, cells=cells))


def test_the_distance_is_in_standard_errors() -> None:
    measurement = measure(1.5, error=2.0)
    assert make_prospect(measurement).parts[0].distance == pytest.approx(0.75)


def test_the_chance_is_that_of_simulated_claims() -> None:
    """Truths around the estimate, then judged from three times the data."""
    measurement, growth = measure(1.5), 3.0
    generator = np.random.default_rng(0)
    truths = 1.5 + generator.standard_normal(4000)
    added = truths + generator.standard_normal(4000) / math.sqrt(growth - 1.0)
    pooled = (1.5 + (growth - 1.0) * added) / growth
    verdicts = [
        judge(measure(value, error=1.0 / math.sqrt(growth)), REPEATED_LEVEL).verdict
        for value in pooled
    ]
    share = 1.0 - verdicts.count(Verdict.UNDECIDED) / len(verdicts)
    assert make_prospect(measurement).estimate_chance({"c0": growth}) == pytest.approx(
        share, abs=0.03
    )


def test_only_open_parts_need_data_and_all_of_them_do() -> None:
    measurement = measure(1.5, 100.0, 2.0)
    assert make_prospect(measurement).cells == {"c0", "c2"}
    assert make_prospect(measurement).estimate_chance({"c0": 4.0}) == 0.0
    chances = [
        float(estimate_decision_chance(distance, 4.0, ONE_SIDED_CRITICAL_VALUE))
        for distance in (1.5, 2.0)
    ]
    assert make_prospect(measurement).estimate_chance({"c0": 4.0, "c2": 4.0}) == pytest.approx(
        math.prod(chances)
    )


def test_scatter_between_cells_lowers_the_chance() -> None:
    part = Part(WithStandardError(1.5, 1.0), cells=frozenset("a"), fixed_share=0.5)
    measurement = Measurement([part], 0.0, source=Source(cells=frozenset("a")))
    information = 1.0 / (0.5 + 0.5 / 4.0)
    expected = float(estimate_decision_chance(1.5, information, ONE_SIDED_CRITICAL_VALUE))
    assert make_prospect(measurement).estimate_chance({"a": 4.0}) == pytest.approx(expected)


def test_without_an_interval_it_takes_the_seeds_of_the_first_one() -> None:
    part = Part(SampleMedian(np.array([1.0, 1.0, 1.0])))
    measurement = Measurement([part], 0.5, source=Source(seeds=3, cells=frozenset("a")))
    assert math.isnan(make_prospect(measurement).parts[0].distance)
    assert make_prospect(measurement).estimate_chance({"a": 2.0}) == 0.0
    assert make_prospect(measurement).estimate_chance({"a": 3.0}) == UNKNOWN_CHANCE
    nine = SampleMedian(np.ones(FIRST_INTERVAL_SEEDS)).interval(REPEATED_LEVEL)
    assert nine == (1.0, 1.0), "so many seeds have an interval"


@pytest.mark.parametrize(
    ("seeds", "value", "chance"),
    [(6, math.nan, UNKNOWN_CHANCE), (9, math.nan, 0.0), (9, math.inf, UNKNOWN_CHANCE)],
)
def test_what_many_seeds_left_without_a_value_is_given_no_more(
    seeds: int, value: float, chance: float
) -> None:
    """An n* beyond the largest n stays there; a median that is infinite may be shown to be."""
    part = Part(Rescaled(value, 2.0, math.inf))
    measurement = Measurement([part], 3.0, source=Source(seeds=seeds, cells=frozenset("a")))
    assert make_prospect(measurement).estimate_chance({"a": 2.0}) == chance


def test_the_stock_counts_seeds_and_their_seconds() -> None:
    """A curve's rows repeat the seconds of the whole curve; confirming runs do not count."""
    trainings = pd.DataFrame(
        [
            *(
                {"cell_id": "a", "kind": "training", "seed": s, "seconds": 2.0}
                for s in (0, 0, 1, 1)
            ),
            {"cell_id": "a", "kind": "confirmation", "seed": 5, "seconds": 99.0},
            *({"cell_id": "b", "kind": "curve", "seed": s, "seconds": 7.0} for s in (0, 0, 0)),
        ]
    )
    assert take_stock(trainings) == {"a": Stock(2, 4.0), "b": Stock(1, 7.0)}
    assert take_stock(pd.DataFrame()) == {}
