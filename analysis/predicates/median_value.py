"""``median_value``: what a method reaches."""

from __future__ import annotations

import math

from analysis.evidence import Evidence, choose_scale, select_largest, select_values_by_seed
from analysis.source import Source
from analysis.verdicts import Measurement, measure_one, not_run
from bfc.stats.estimates import SampleMedian

QUANTITY = "median"


def median_value(
    evidence: Evidence,
    method: str,
    column: str = "risk",
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> Measurement:
    """The median over seeds of a stored column, at the largest d and n, lies in a band.

    Of a training that diverged a risk is infinite, and nothing is known of another missing value.
    """
    values = select_values_by_seed(evidence, method, column)
    if values.empty:
        return not_run(f"no {column} of {method}")
    source = Source.of(select_largest(evidence, method))
    return measure_one(
        SampleMedian(values.to_numpy(), scale=choose_scale(column)), at_least, at_most, source
    )
