"""What would decide an undecided claim, against simulation and closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.power import LARGEST_FACTOR, describe_power, estimate_factor, find_missing_seeds
from analysis.source import Source
from analysis.verdicts import Measurement, Part, judge
from bfc.durations import format_duration
from bfc.launch.devices import usable_cores
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.estimates import Certified, SampleMean, Share, WithStandardError
from bfc.stats.looks import POWER, REPEATED_LEVEL

SEEDS = 8


def measure(value: float, error: float, at_least: float = 0.0, seeds: int = SEEDS) -> Measurement:
    part = Part(WithStandardError(value, error), "d = 8")
    return Measurement([part], at_least, source=Source(seeds=seeds))


def describe(measurement: Measurement) -> str:
    return describe_power(measurement, judge(measurement, REPEATED_LEVEL))


def test_the_number_of_seeds_decides_with_the_stated_probability() -> None:
    """Fresh estimates with so many times the seeds are reproduced in nine of ten cases."""
    measurement = measure(1.0, 0.5)
    factor = estimate_factor(measurement.parts[0], measurement)
    generator = np.random.default_rng(0)
    estimates = generator.normal(1.0, 0.5 / math.sqrt(factor), 2000)
    verdicts = [
        judge(measure(value, 0.5 / math.sqrt(factor)), REPEATED_LEVEL).verdict
        for value in estimates
    ]
    share = verdicts.count(Verdict.REPRODUCED) / len(verdicts)
    assert share == pytest.approx(POWER, abs=4 * math.sqrt(0.09 / len(verdicts)))


def test_an_undecided_claim_says_how_many_seeds_and_where() -> None:
    sentence = describe(measure(1.0, 0.5))
    factor = estimate_factor(measure(1.0, 0.5).parts[0], measure(1.0, 0.5))
    assert f"about {math.ceil(SEEDS * (factor - 1))} more seeds at d = 8 decide" in sentence
    assert "times the data decide" in describe(measure(1.0, 0.5, seeds=0))


def test_a_share_without_a_failure_has_the_number_of_its_closed_form() -> None:
    """n of n: the lower bound is the n-th root of the error, so n = log(α) / log(.95)."""
    measurement = Measurement([Part(Share(16, 16))], 0.95, source=Source(seeds=16))
    exact = math.log(1.0 - REPEATED_LEVEL) / math.log(0.95)
    assert 16 * estimate_factor(measurement.parts[0], measurement) == pytest.approx(exact, rel=0.06)


def decide_with_all_data(value: float, error: float) -> float:
    """The share of fresh estimates with the largest number of seeds that decide the claim."""
    error /= math.sqrt(LARGEST_FACTOR)
    estimates = np.random.default_rng(0).normal(value, error, 1000)
    verdicts = [judge(measure(value, error), REPEATED_LEVEL).verdict for value in estimates]
    return 1.0 - verdicts.count(Verdict.UNDECIDED) / len(verdicts)


def test_an_estimate_is_on_the_threshold_only_where_all_data_would_leave_it_there() -> None:
    """Ten times as near as that, and at three standard errors with a hundred times the data."""
    assert "sits on the threshold" in describe(measure(0.001, 0.5))
    assert decide_with_all_data(0.001, 0.5) < 0.1
    wide = describe(measure(0.15, 0.5))
    assert wide.startswith("not even 100 times the data") and "sits on" not in wide
    assert 0.5 < decide_with_all_data(0.15, 0.5) < POWER


@pytest.mark.parametrize("value", [0.001, 0.15])
def test_a_wide_interval_of_two_values_of_d_asks_for_more_of_them(value: float) -> None:
    """Wherever the estimate lies, as long as seeds do not decide."""
    open_part = replace(measure(value, 0.5).parts[0], scarce="two values of d")
    sentence = describe(Measurement([open_part], 0.0, source=Source(seeds=SEEDS)))
    assert sentence.startswith("two values of d leave the interval this wide: it takes more of")
    assert "sits on" not in sentence
    near = replace(measure(1.0, 0.5).parts[0], scarce="two values of d")
    assert "more seeds" in describe(Measurement([near], 0.0, source=Source(seeds=SEEDS)))


def test_an_obstacle_is_named_in_place_of_a_number_of_seeds() -> None:
    part = Part(WithStandardError(1.0, 0.5), "d = 8", obstacle="its plateau is not confirmed")
    sentence = describe(Measurement([part], 0.0, source=Source(seeds=SEEDS)))
    assert sentence == "no number of seeds decides this; d = 8: its plateau is not confirmed"
    decided = Part(WithStandardError(9.0, 0.5), "d = 8", obstacle="its plateau is not confirmed")
    assert describe(Measurement([decided], 0.0, source=Source(seeds=SEEDS))) == ""


def test_what_is_decided_or_not_run_has_no_sentence() -> None:
    assert describe(measure(10.0, 0.5)) == "" and describe(Measurement(missing="x")) == ""
    assert describe(Measurement([Part(Certified(1.0, 1.0, 1.0))], at_least=0.0)) == ""


def test_without_an_interval_it_cannot_be_said() -> None:
    assert "first interval" in describe(Measurement([Part(SampleMean(np.array([1.0])))], 0.5))


def test_the_sentence_names_the_time_on_this_machine() -> None:
    part = Part(WithStandardError(1.0, 0.5), "d = 8", frozenset("ab"))
    measurement = Measurement([part], 0.0, source=Source(seeds=SEEDS, cells=frozenset("abc")))
    finding = judge(measurement, REPEATED_LEVEL)
    more = math.ceil(SEEDS * (estimate_factor(part, measurement) - 1))
    cores = usable_cores()
    time = format_duration(more * 150.0 / cores)
    sentence = describe_power(measurement, finding, {"a": 100.0, "b": 50.0, "c": 1e6})
    assert f"at d = 8 ({time} on {cores} core" in sentence
    missing = find_missing_seeds(measurement, finding)
    assert missing is not None and (missing.count, missing.cells) == (more, frozenset("ab"))
    assert "(" not in describe_power(measurement, finding, {"a": 100.0}), "b costs what is unknown"


def test_no_seeds_are_missing_where_none_decide() -> None:
    part = Part(WithStandardError(1.0, 0.5), "d = 8", frozenset("a"))
    for open_part, seeds in ((replace(part, obstacle="a plateau"), SEEDS), (part, 0)):
        measurement = Measurement([open_part], 0.0, source=Source(seeds=seeds))
        assert find_missing_seeds(measurement, judge(measurement, REPEATED_LEVEL)) is None


def test_what_seeds_cannot_lower_asks_for_more_of_them_or_for_more_d() -> None:
    """The squared error that is needed is 1/factor of the present one."""
    factor = estimate_factor(measure(1.0, 0.5).parts[0], measure(1.0, 0.5))

    def sentence(share: float) -> str:
        part = Part(WithStandardError(1.0, 0.5), "d = 8", fixed_share=share)
        measurement = Measurement([part], 0.0, source=Source(seeds=SEEDS))
        return describe_power(measurement, judge(measurement, REPEATED_LEVEL))

    growth = 0.9 / (1.0 / factor - 0.1)
    assert f"about {math.ceil(SEEDS * (growth - 1))} more seeds" in sentence(0.1)
    assert f"about {factor:.2g} times as many d" in sentence(0.9)
