"""``of_feature``: another claim about n* of a feature instead of n* of the risk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence
from analysis.registry import call_part, load_part
from analysis.verdicts import Measurement, not_run


def of_feature(
    evidence: Evidence, feature: str, predicate: str, thresholds: Mapping[str, Any]
) -> Measurement:
    """``predicate`` with its ``thresholds``, on 1 − overlap in the place of the risk.

    ``feature``: what was learned, ``subspace`` or ``forms`` (with the phase before it, such as
    ``all/subspace``, where a probe measured it). An eps of 0.2 is an overlap of 0.8.
    """
    part = evidence.features.get(feature)
    if part is None:
        return not_run(f"no method measured the overlap of {feature}")
    function = load_part("predicates", predicate, "of_feature")
    measurement: Measurement = call_part(function, part, thresholds, "of_feature")
    return measurement
