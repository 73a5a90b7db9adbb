"""``level_factor``: by which factor n* grows from one level of depth to the next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence
from analysis.filters import find_fit
from analysis.fitted_line import describe_scarce_sizes
from analysis.source import Source
from analysis.verdicts import Measurement, Part
from bfc.stats.swept_axis import DEPTH

QUANTITY = "factor of n* per level of depth"
FIGURE = "depth"


def level_factor(
    evidence: Evidence,
    method: str,
    eps: float,
    at_least: float = 0.0,
    at_most: float = math.inf,
    where: Mapping[str, Any] | None = None,
) -> Measurement:
    """e^b of n* ∝ e^(b L), fitted to all depths of a line, lies in a band.

    ``where``: values of the configuration that select one line of several.
    """
    line = find_fit(evidence, method, eps, where, axis=DEPTH.name)
    source = Source.of(line.trainings)
    part = Part(line.factor, scarce=describe_scarce_sizes(line))
    return Measurement([part], at_least, at_most, source, line.remark)
