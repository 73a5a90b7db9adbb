"""The interval that a finding shows is the one that made its verdict, or that leaves it open."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analysis.source import Source
from analysis.verdicts import Finding, Measurement, Part, Quantifier, judge
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.estimates import SampleMedian, WithStandardError
from bfc.stats.looks import REPEATED_LEVEL


def lies_inside(finding: Finding, region: Measurement) -> bool:
    return region.at_least <= finding.judged_lo and finding.judged_hi <= region.at_most


def lies_outside(finding: Finding, region: Measurement) -> bool:
    return finding.judged_hi < region.at_least or finding.judged_lo > region.at_most


@pytest.mark.parametrize("at_most", [math.inf, 6.0])
@pytest.mark.parametrize("quantifier", ["every", "some"])
def test_the_interval_that_is_shown_agrees_with_the_verdict(
    quantifier: Quantifier, at_most: float
) -> None:
    generator = np.random.default_rng(0)
    verdicts = set()
    for _ in range(300):
        values = generator.uniform(-4.0, 8.0) + generator.normal(0.0, 0.5, size=6)
        parts = [Part(WithStandardError(value, 1.0)) for value in values]
        region = Measurement(parts, 0.0, at_most, quantifier=quantifier)
        finding = judge(region, REPEATED_LEVEL)
        verdicts.add(finding.verdict)
        assert lies_inside(finding, region) == (finding.verdict is Verdict.REPRODUCED)
        assert lies_outside(finding, region) == (finding.verdict is Verdict.CONTRADICTED)
    assert verdicts >= {Verdict.CONTRADICTED, Verdict.UNDECIDED}
    assert Verdict.REPRODUCED in verdicts or at_most < math.inf


def test_an_interval_against_which_several_places_could_speak_is_wider() -> None:
    """Of five places one lies 2.6 standard errors below the threshold, beyond the bound of a single
    place (2.46) and within that of five: undecided, and the bound that is shown says so."""
    parts = [Part(WithStandardError(value, 1.0)) for value in (-2.6, 9.0, 9.0, 9.0, 9.0)]
    finding = judge(Measurement(parts, 0.0), REPEATED_LEVEL)
    assert finding.verdict is Verdict.UNDECIDED and finding.judged_lo < 0.0 < finding.judged_hi
    alone = judge(Measurement(parts[:1], 0.0), REPEATED_LEVEL)
    assert alone.verdict is Verdict.CONTRADICTED and alone.judged_hi < 0.0


def test_the_numbers_are_those_of_the_place_that_decides_and_not_of_the_worst() -> None:
    """Three seeds at d = 6 lie further from the threshold, and too few are there to show it."""
    few, more = np.array([0.71, 1.02, 1.03]), np.array([0.50, 0.58, 0.61, 0.69, 0.78])
    parts = [Part(SampleMedian(few), "d = 6"), Part(SampleMedian(more), "d = 8")]
    finding = judge(Measurement(parts, at_most=0.25), REPEATED_LEVEL)
    assert finding.verdict is Verdict.CONTRADICTED and finding.measured == 0.61
    assert finding.remark == "at d = 8 (5 seeds), of 2 places"


def test_a_source_states_the_fewest_and_the_most_seeds() -> None:
    cells = pd.DataFrame({"cell_id": list("aaabbbbb"), "seed": [0, 1, 2, 0, 1, 2, 3, 4], "d": 8})
    source = Source.of(cells)
    assert source.seeds == 3 and str(source) == "d = 8, 3–5 seeds"
    assert str(Source.of(cells[cells["cell_id"] == "a"])) == "d = 8, 3 seeds"
    assert str(Source.of(pd.DataFrame({"seeds": [1, 4], "d": 8}))) == "d = 8, 1–4 seeds"
    assert str(Source(seeds=1)) == "1 seed"
