"""The chance that more data decide a claim, and what is stored of its cells."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.power import estimate_growth
from analysis.prospects import (
    FIRST_INTERVAL_SEEDS,
    UNKNOWN_CHANCE,
    Stock,
    make_prospect,
    take_stock,
)
from analysis.source import Source
from analysis.verdicts import Measurement, Part, judge
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.estimates import Rescaled, SampleMedian, Share, WithStandardError
from bfc.stats.looks import (
    ONE_SIDED_CRITICAL_VALUE,
    REPEATED_LEVEL,
    estimate_chance_above,
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


def simulate_decisions(measurement: Measurement, growth: float, repeats: int = 4000) -> float:
    """The share of claims that are decided from ``growth`` times the data.

    The truths are drawn around the estimates, the places independently.
    """
    generator = np.random.default_rng(0)
    values = np.array([part.estimate.value for part in measurement.parts])
    decided = 0
    for _ in range(repeats):
        truths = values + generator.standard_normal(len(values))
        added = truths + generator.standard_normal(len(values)) / math.sqrt(growth - 1.0)
        pooled = (values + (growth - 1.0) * added) / growth
        later = measure(*pooled, error=1.0 / math.sqrt(growth))
        later = replace(later, quantifier=measurement.quantifier)
        decided += judge(later, REPEATED_LEVEL).verdict is not Verdict.UNDECIDED
    return decided / repeats


@pytest.mark.parametrize("quantifier", ["every", "some"])
@pytest.mark.parametrize(
    "values", [(1.5,), (1.5, 2.0), (-2.0, 1.0), (-1.0, -1.5, -2.2), (0.0, 2.0)]
)
def test_the_chance_is_that_of_simulated_claims(values, quantifier) -> None:
    """A single place that is refuted decides a claim about every place."""
    growth = 3.0
    measurement = replace(measure(*values), quantifier=quantifier)
    prospect = make_prospect(measurement)
    chance = prospect.estimate_chance(dict.fromkeys(prospect.cells, growth))
    assert chance == pytest.approx(simulate_decisions(measurement, growth), abs=0.03)


def test_only_open_parts_need_data_and_all_of_them_do_to_be_reproduced() -> None:
    measurement = measure(1.5, 100.0, 2.0)
    prospect = make_prospect(measurement)
    assert prospect.cells == {"c0", "c2"}
    one, both = ({"c0": 4.0}, {"c0": 4.0, "c2": 4.0})
    assert prospect.estimate_chance(one) < 0.01 < prospect.estimate_chance(both)


def test_the_decisive_place_is_the_one_that_would_decide_alone() -> None:
    measurement = measure(1.5, -1.0, -2.0)
    assert make_prospect(measurement).find_decisive_cells() == {"c2"}
    union = replace(measurement, quantifier="some")
    assert make_prospect(union).find_decisive_cells() == {"c0"}
    assert make_prospect(measure(1.5, 1.0)).find_decisive_cells() == frozenset()
    assert make_prospect(measure(-1.5)).find_decisive_cells() == frozenset()


def test_a_place_outside_that_one_of_several_could_be_by_chance_has_a_distance() -> None:
    """It is refuted at the plain level and not at that of five places."""
    measurement = measure(-2.6, 50.0, 50.0, 50.0, 50.0)
    (part,) = make_prospect(measurement).parts
    assert part.distance == pytest.approx(-2.6)
    assert estimate_growth(measurement) > 1.0


def test_places_without_an_interval_get_their_first_one_together() -> None:
    parts = [Part(SampleMedian(np.array([x])), cells=frozenset({f"c{x}"})) for x in range(1, 7)]
    cells = frozenset().union(*(part.cells for part in parts))
    measurement = Measurement(parts, 0.5, source=Source(seeds=1, cells=cells))
    chance = make_prospect(measurement).estimate_chance(dict.fromkeys(cells, 9.0))
    assert chance == pytest.approx(UNKNOWN_CHANCE)


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


@pytest.mark.parametrize(("seeds", "chance"), [(6, UNKNOWN_CHANCE), (9, 0.0)])
def test_what_many_seeds_left_without_an_end_is_given_no_more(seeds: int, chance: float) -> None:
    """A ratio of 1.3 whose upper end is open, since one n* may lie beyond all n, is to be 2."""
    part = Part(Rescaled(1.3, 1.2, math.inf))
    measurement = Measurement([part], 2.0, source=Source(seeds=seeds, cells=frozenset("a")))
    assert make_prospect(measurement).estimate_chance({"a": 2.0}) == chance


def test_the_stock_counts_seeds_and_their_seconds() -> None:
    """A curve's rows repeat the seconds of the whole curve; confirming runs do not count. The price
    of a seed is the median, whatever the first one took."""
    trainings = pd.DataFrame(
        [
            *(
                {"cell_id": "a", "kind": "training", "seed": s, "seconds": 2.0}
                for s in (0, 0, 1, 1)
            ),
            {"cell_id": "a", "kind": "training", "seed": 2, "seconds": 30.0},
            {"cell_id": "a", "kind": "confirmation", "seed": 5, "seconds": 99.0},
            *({"cell_id": "b", "kind": "curve", "seed": s, "seconds": 7.0} for s in (0, 0, 0)),
        ]
    )
    assert take_stock(trainings) == {"a": Stock(3, 4.0), "b": Stock(1, 7.0)}
    assert take_stock(pd.DataFrame()) == {}


def test_the_chances_of_both_sides_add_up_to_that_of_a_decision() -> None:
    for distance, growth in ((0.0, 2.0), (1.7, 3.0), (-1.7, 1.5), (2.0, 1.0)):
        sides = [estimate_chance_above(sign * distance, growth, 2.5) for sign in (1.0, -1.0)]
        assert sum(sides) == pytest.approx(float(estimate_decision_chance(distance, growth, 2.5)))


@pytest.mark.parametrize(("draws", "growth"), [(2, 4.0), (4, 3.0), (4, 8.0), (9, 3.0), (24, 2.0)])
@pytest.mark.parametrize("distance", [0.5, 1.5, 3.0])
def test_the_chance_of_few_seeds_is_that_of_simulated_medians(draws, growth, distance) -> None:
    """Their interval narrows faster than one over the root of their number.

    By simulation, with truths around the mean of the draws and a spread that is theirs.
    """
    generator = np.random.default_rng(0)
    first = generator.standard_normal(draws)
    first = (first - first.mean()) / first.std(ddof=1)
    first += distance / math.sqrt(draws)
    decided = 0
    for _ in range(600):
        truth = first.mean() + generator.standard_normal() / math.sqrt(draws)
        added = truth + generator.standard_normal(round((growth - 1.0) * draws))
        later = SampleMedian(np.concatenate([first, added]), scale="linear")
        verdict = judge(Measurement([Part(later)], 0.0), REPEATED_LEVEL).verdict
        decided += verdict is not Verdict.UNDECIDED
    now = Part(SampleMedian(first, scale="linear"))
    source = Source(seeds=draws, cells=frozenset("a"))
    prospect = make_prospect(Measurement([now], 0.0, source=source))
    if prospect.parts:
        assert prospect.estimate_chance({"a": growth}) == pytest.approx(decided / 600, abs=0.15)
    else:
        assert decided > 0


@pytest.mark.parametrize(("successes", "count"), [(4, 4), (16, 16), (11, 12)])
@pytest.mark.parametrize("growth", [1.5, 4.0, 8.0])
def test_the_chance_of_counts_is_that_of_simulated_truths(successes, count, growth) -> None:
    """Truths from the posterior of the counts so far, then the counts to come."""
    generator = np.random.default_rng(0)
    added = round(growth * count) - count
    truths = generator.beta(successes + 0.5, count - successes + 0.5, 2000)
    totals = successes + generator.binomial(added, truths)
    values, repeats = np.unique(totals, return_counts=True)
    region = {"at_least": 0.8, "source": Source(seeds=count, cells=frozenset({"a"}))}
    decided = 0
    for total, repeat in zip(values, repeats, strict=True):
        later = Measurement([Part(Share(int(total), count + added))], **region)
        decided += repeat * (judge(later, REPEATED_LEVEL).verdict is not Verdict.UNDECIDED)
    now = make_prospect(Measurement([Part(Share(successes, count))], **region))
    if now.parts:
        chance = now.estimate_chance({"a": growth})
        assert chance == pytest.approx(decided / 2000, abs=0.04)


def test_a_share_that_no_outcome_decides_has_no_chance() -> None:
    """16 of 16 cannot show .95 before 97 trials."""
    source = Source(seeds=16, cells=frozenset({"a"}))
    prospect = make_prospect(Measurement([Part(Share(16, 16))], 0.95, source=source))
    assert prospect.estimate_chance({"a": 4.0}) < 0.1
    assert prospect.estimate_chance({"a": 97 / 16}) > 0.4
