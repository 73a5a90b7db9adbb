"""``exponent_gap``: one method's n* grows faster with d than another's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence, Finding, judge_interval, no_data
from analysis.filters import select_fits

QUANTITY = "difference of exponents in d"


def exponent_gap(
    evidence: Evidence,
    over: str,
    under: str,
    eps: float,
    at_least: float,
    over_where: Mapping[str, Any] | None = None,
    under_where: Mapping[str, Any] | None = None,
) -> Finding:
    """The difference of the fitted exponents, over − under.

    Interval: half widths added in quadrature, each side by itself. ``..._where``: values of the
    configuration that select the line of a method which has several (:mod:`analysis.filters`).
    """
    fits = []
    for method, where in ((over, over_where), (under, under_where)):
        rows = select_fits(evidence, method, eps, where)
        if len(rows) != 1:
            return no_data(f"{len(rows)} fitted lines of {method} at eps {eps}")
        fits.append(rows.iloc[0])
    first, second = fits
    gap = first["exponent"] - second["exponent"]
    below = math.hypot(first["exponent"] - first["lo"], second["hi"] - second["exponent"])
    above = math.hypot(first["hi"] - first["exponent"], second["exponent"] - second["lo"])
    remark = f"{first['exponent']:.2f} − {second['exponent']:.2f}"
    return judge_interval(gap, gap - below, gap + above, at_least, remark=remark)
