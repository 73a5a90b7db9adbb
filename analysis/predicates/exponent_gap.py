"""``exponent_gap``: one method's n* grows faster with d than another's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence
from analysis.filters import select_fits, select_line
from analysis.verdicts import Measurement, Source, measure_one, not_run
from bfc.stats.estimates import Difference, Rescaled

QUANTITY = "difference of exponents in d"
FIGURE = "nstar"


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
    fits = []
    for method, where in ((over, over_where), (under, under_where)):
        rows = select_fits(evidence, method, eps, where)
        if len(rows) != 1:
            return not_run(f"{len(rows)} fitted lines of {method} at eps {eps}")
        fits.append(rows.iloc[0])
    first, second = (Rescaled(fit["exponent"], fit["lo"], fit["hi"], in_logs=False) for fit in fits)
    return measure_one(
        Difference(first, second),
        at_least,
        source=Source.of(*(select_line(evidence, fit) for fit in fits)),
        remark=f"{first.value:.2f} − {second.value:.2f}",
    )
