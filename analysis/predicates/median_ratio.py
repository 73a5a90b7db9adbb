"""``median_ratio``: two methods, or two stored columns, compared seed by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.evidence import Evidence, choose_scale, select_largest, select_values_by_seed
from analysis.filters import restrict_evidence
from analysis.source import Source
from analysis.verdicts import Measurement, measure_one, not_run
from bfc.stats.estimates import SampleMedian

QUANTITY = "median ratio, seed by seed"


def median_ratio(
    evidence: Evidence,
    over: str,
    under: str,
    column: str = "risk",
    under_column: str | None = None,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    over_where: Mapping[str, Any] | None = None,
    under_where: Mapping[str, Any] | None = None,
) -> Measurement:
    """The median over seeds of a column of one method over one of another lies in a band.

    Nothing is known of the ratio of a seed of which both, or a probe of one, diverged.
    ``..._where``: values of the configuration, or of n, that select trainings of a method.
    """
    numerators = restrict_evidence(evidence, over_where) if over_where else evidence
    denominators = restrict_evidence(evidence, under_where) if under_where else evidence
    first = select_values_by_seed(numerators, over, column)
    second = select_values_by_seed(denominators, under, under_column or column)
    pair = pd.concat([first, second], axis=1, join="inner")
    if pair.empty:
        return not_run(f"no seed with {column} of both {over} and {under}")
    ratios = (pair.iloc[:, 0] / pair.iloc[:, 1]).to_numpy(float)
    source = Source.of(select_largest(numerators, over), select_largest(denominators, under))
    return measure_one(SampleMedian(ratios, scale=choose_scale(column)), at_least, at_most, source)
