"""Every predicate against simulated truths: coverage, width and false verdicts of its intervals.

A predicate takes part by having a file in ``analysis/predicates``; a test fails that names the one
without a simulation in ``simulated_risks`` or ``simulated_sample_sizes``. A simulation makes the
evidence of a study whose truth is known, with 3, 6 and 12 seeds, heavy tails, seeds whose draws are
shared, several d and censored n*, and gives the interval of a reference method that is stated with
it. False verdicts are counted where they are most likely: at thresholds next to the truth.

Run as a script it prints the table with as many repeats as its argument says.
"""

from __future__ import annotations

import functools
import math
import sys
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import simulated_risks
import simulated_sample_sizes
from predicate_simulation import Simulated, Simulation

from analysis.registry import call_part, list_parts, load_part
from analysis.verdicts import Measurement, judge
from bfc.stats.claim_verdicts import Verdict
from bfc.stats.estimates import LEVEL

SEEDS = (3, 6, 12)
SIMULATIONS = simulated_risks.SIMULATIONS | simulated_sample_sizes.SIMULATIONS


@dataclass
class Counts:
    """What was counted over the repeats of a simulation with one number of seeds."""

    covered: list[float] = field(default_factory=list)
    """Per study the share of its intervals that cover; studies without one are left out."""
    widths: list[float] = field(default_factory=list)
    """Of intervals over those of the reference."""
    reproduced: list[bool] = field(default_factory=list)
    """Whether a false claim was reproduced."""
    contradicted: list[bool] = field(default_factory=list)
    """Whether a true claim was contradicted."""


def count(predicate: str, seeds: int, repeats: int | None = None) -> Counts:
    simulation = SIMULATIONS[predicate]
    function = load_part("predicates", predicate, "test")
    generator = np.random.default_rng([seeds, *predicate.encode()])
    counts = Counts()
    for _ in range(repeats or simulation.repeats):
        study = simulation.simulate(generator, seeds)
        measurement = call_part(function, study.evidence, study.options, "test")
        assert not measurement.missing, measurement.missing
        assert len(measurement.parts) == len(study.truths)
        _count_intervals(counts, simulation, study, measurement)
        for is_true, claim in _make_claims(simulation, study, measurement):
            verdict = judge(claim).verdict
            if is_true:
                counts.contradicted.append(verdict is Verdict.CONTRADICTED)
            else:
                counts.reproduced.append(verdict is Verdict.REPRODUCED)
    return counts


def _count_intervals(
    counts: Counts, simulation: Simulation, study: Simulated, measurement: Measurement
) -> None:
    covered = []
    references = study.references or [(math.nan, math.nan)] * len(study.truths)
    for part, truth, reference in zip(measurement.parts, study.truths, references, strict=True):
        lo, hi = part.estimate.interval(LEVEL)
        if math.isnan(lo) or math.isnan(hi):
            continue
        covered.append(lo * (1 - 1e-9) <= truth <= hi * (1 + 1e-9) or lo <= truth <= hi)
        if not math.isnan(reference[0]) and math.isfinite(hi):
            ends = np.array([(lo, hi), reference])
            with np.errstate(divide="ignore"):
                widths = np.diff(np.log(ends) if simulation.in_logs else ends)[:, 0]
            counts.widths.append(float(widths[0] / widths[1]))
    if covered:
        counts.covered.append(float(np.mean(covered)))


def _make_claims(
    simulation: Simulation, study: Simulated, measurement: Measurement
) -> list[tuple[bool, Measurement]]:
    """Claims and whether they are true, with thresholds next to the truth."""
    if simulation.at_most is not None:
        is_true = max(study.truths) <= simulation.at_most
        return [(is_true, measurement)]
    lowest, highest = min(study.truths), max(study.truths)
    step = 1e-6 * abs(lowest)
    return [
        (True, replace(measurement, at_least=lowest - step, at_most=math.inf)),
        (False, replace(measurement, at_least=lowest + step, at_most=math.inf)),
        (True, replace(measurement, at_least=-math.inf, at_most=highest + step)),
        (False, replace(measurement, at_least=-math.inf, at_most=highest - step)),
        (True, replace(measurement, at_least=lowest - step, at_most=highest + step)),
        (False, replace(measurement, at_least=lowest + step, at_most=highest + abs(highest))),
    ]


def two_errors(rate: float, repeats: int) -> float:
    """Two standard errors of a rate."""
    return 2 * math.sqrt(rate * (1 - rate) / max(repeats, 1))


def test_no_predicate_is_without_a_simulated_truth():
    missing = sorted(set(list_parts("predicates")) - set(SIMULATIONS))
    assert not missing, f"no simulated truth here for {', '.join(missing)}"


@functools.cache
def count_once(predicate: str, seeds: int) -> Counts:
    return count(predicate, seeds)


def list_cases() -> list[Any]:
    """Predicates and numbers of seeds.

    A worker runs everything of a predicate, so that nothing is simulated twice.
    """
    cases = []
    for predicate in sorted(SIMULATIONS):
        marks = [pytest.mark.xdist_group(f"predicate {predicate}")]
        for seeds in SEEDS:
            cases.append(pytest.param(predicate, seeds, marks=marks))
    return cases


@pytest.mark.sampled
@pytest.mark.parametrize("predicate, seeds", list_cases())
def test_intervals_cover_and_verdicts_are_rarely_false(predicate, seeds):
    counts = count_once(predicate, seeds)
    studies = SIMULATIONS[predicate].repeats
    if counts.covered:
        coverage, bound = np.mean(counts.covered), LEVEL - two_errors(LEVEL, len(counts.covered))
        assert coverage >= bound, f"covers {coverage:.3f}"
    for rates in (counts.reproduced, counts.contradicted):
        assert np.mean(rates or [0]) <= 0.05 + two_errors(0.05, studies)


@pytest.mark.sampled
@pytest.mark.parametrize("predicate, seeds", list_cases())
def test_intervals_are_not_much_wider_than_those_of_the_reference(predicate, seeds):
    widths = count_once(predicate, seeds).widths
    if SIMULATIONS[predicate].reference != "certified":
        assert np.median(widths) <= 1.25, SIMULATIONS[predicate].reference


def tabulate(repeats: int) -> pd.DataFrame:
    """The table of the battery."""
    rows = []
    for predicate, simulation in sorted(SIMULATIONS.items()):
        for seeds in SEEDS:
            runs = min(repeats, 4) if simulation.repeats <= 4 else repeats
            counts = count(predicate, seeds, runs)
            rows.append(
                {
                    "predicate": predicate,
                    "seeds": seeds,
                    "coverage": np.mean(counts.covered) if counts.covered else math.nan,
                    "width ratio": np.median(counts.widths) if counts.widths else math.nan,
                    "falsely reproduced": np.mean(counts.reproduced or [math.nan]),
                    "falsely contradicted": np.mean(counts.contradicted or [math.nan]),
                }
            )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    print(tabulate(int(sys.argv[1])).round(3).to_string(index=False))
