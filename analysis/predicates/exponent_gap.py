"""``exponent_gap``: one method's n* grows faster with d than another's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence
from analysis.filters import find_fit
from analysis.fitted_line import compute_fixed_share, describe_scarce_sizes
from analysis.source import Source
from analysis.verdicts import Measurement, Part
from bfc.stats.estimate_pairs import Difference

QUANTITY = "difference of exponents in d"
FIGURE = "nstar"
IS_SLOPE_IN_D = True
"""Further d sharpen the estimate."""


def exponent_gap(
    evidence: Evidence,
    over: str,
    under: str,
    eps: float,
    at_least: float,
    over_where: Mapping[str, Any] | None = None,
    under_where: Mapping[str, Any] | None = None,
) -> Measurement:
    """The difference of the fitted exponents, over − under.

    Interval: half widths added in quadrature, each side by itself. ``..._where``: values of the
    configuration that select the line of a method which has several (:mod:`analysis.filters`).
    """
    first = find_fit(evidence, over, eps, over_where)
    second = find_fit(evidence, under, eps, under_where)
    difference = Difference(first.estimate, second.estimate)
    values = f"{first.estimate.value:.2f} − {second.estimate.value:.2f}"
    part = Part(
        difference,
        fixed_share=compute_fixed_share(first, second),
        scarce=describe_scarce_sizes(first, second),
    )
    return Measurement(
        [part],
        at_least,
        source=Source.of(first.trainings, second.trainings),
        remark="; ".join(filter(None, (values, first.remark, second.remark))),
    )
