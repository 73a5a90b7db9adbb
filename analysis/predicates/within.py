"""``within``: another claim about a part of a study.

For studies that measure the same methods on several targets or tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence
from analysis.filters import restrict_evidence
from analysis.registry import call_part, load_part
from analysis.verdicts import Measurement


def within(
    evidence: Evidence, where: Mapping[str, Any], predicate: str, thresholds: Mapping[str, Any]
) -> Measurement:
    """``predicate`` with its ``thresholds``, for the cells whose configuration has these values.

    ``where``: for instance ``{target: random_polynomial}`` or ``{task.noise: 0.1}``
    (:func:`analysis.filters.restrict_evidence`).
    """
    function = load_part("predicates", predicate, "within")
    part = restrict_evidence(evidence, where)
    measurement: Measurement = call_part(function, part, thresholds, "within")
    return measurement
