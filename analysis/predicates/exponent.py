"""``exponent``: how n* grows with d."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence
from analysis.filters import select_fits, select_line
from analysis.verdicts import Measurement, Source, measure_one, not_run
from bfc.stats.estimates import Rescaled

QUANTITY = "exponent of n* in d"
FIGURE = "nstar"


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
    fits = select_fits(evidence, method, eps, where)
    if len(fits) != 1:
        return not_run(f"{len(fits)} fitted lines of {method} at eps {eps}")
    fit = fits.iloc[0]
    estimate = Rescaled(fit["exponent"], fit["lo"], fit["hi"], in_logs=False)
    source = Source.of(select_line(evidence, fit))
    return measure_one(estimate, at_least, at_most, source)
