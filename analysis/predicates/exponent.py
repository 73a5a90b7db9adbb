"""``exponent``: how n* grows with d, or with L."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence
from analysis.filters import find_fit
from analysis.fitted_line import compute_fixed_share, describe_scarce_sizes
from analysis.source import Source
from analysis.verdicts import Measurement, Part

QUANTITY = "exponent of n* in d"
FIGURE = "nstar"
IS_SLOPE_IN_D = True
"""Further d sharpen the estimate."""


def exponent(
    evidence: Evidence,
    method: str,
    eps: float,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    where: Mapping[str, Any] | None = None,
) -> Measurement:
    """The exponent of n* in d lies in a band.

    ``where``: values of the configuration that select one line of several.
    """
    line = find_fit(evidence, method, eps, where)
    scarce = describe_scarce_sizes(line)
    part = Part(line.estimate, fixed_share=compute_fixed_share(line), scarce=scarce)
    return Measurement([part], at_least, at_most, Source.of(line.trainings), line.remark)
