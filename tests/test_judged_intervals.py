"""The interval that a finding shows is the one that made its verdict, or that leaves it open."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.verdicts import Finding, Measurement, Part, Quantifier, judge
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.estimates import WithStandardError
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
