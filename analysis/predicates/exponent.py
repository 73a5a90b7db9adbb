"""``exponent``: how n* grows with d."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence, Finding, judge_interval, no_data
from analysis.filters import select_fits

QUANTITY = "exponent of n* in d"


def exponent(
    evidence: Evidence,
    method: str,
    eps: float,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    where: Mapping[str, Any] | None = None,
) -> Finding:
    """The exponent of n* in d lies in a band.

    ``where``: values of the configuration that select one line of several.
    """
    fits = select_fits(evidence, method, eps, where)
    if len(fits) != 1:
        return no_data(f"{len(fits)} fitted lines of {method} at eps {eps}")
    fit = fits.iloc[0]
    return judge_interval(fit["exponent"], fit["lo"], fit["hi"], at_least, at_most)
