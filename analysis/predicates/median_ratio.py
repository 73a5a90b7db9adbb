"""``median_ratio``: two methods, or two stored columns, compared seed by seed."""

from __future__ import annotations

import math

import pandas as pd

from analysis.evidence import Evidence, choose_scale, select_largest, select_values_by_seed
from analysis.verdicts import Measurement, Source, measure_one, not_run
from bfc.stats.estimates import SampleMedian

QUANTITY = "median ratio, seed by seed"


def median_ratio(
    evidence: Evidence,
    over: str,
    under: str,
    column: str = "risk",
    under_column: str | None = None,
    at_least: float = 0.0,
    at_most: float = math.inf,
) -> Measurement:
    """The median over seeds of a column of one method over one of another lies in a band."""
    first = select_values_by_seed(evidence, over, column)
    second = select_values_by_seed(evidence, under, under_column or column)
    pair = pd.concat([first, second], axis=1).dropna()
    if pair.empty:
        return not_run(f"no seed with {column} of both {over} and {under}")
    ratios = (pair.iloc[:, 0] / pair.iloc[:, 1]).to_numpy(float)
    source = Source.of(select_largest(evidence, over), select_largest(evidence, under))
    return measure_one(SampleMedian(ratios, scale=choose_scale(column)), at_least, at_most, source)
