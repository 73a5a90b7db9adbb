"""``success_share``: in how many seeds a method gets there."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

from analysis.cells import matches_list, select_alpha_rows
from analysis.evidence import Evidence, Finding, judge_interval, no_data

QUANTITY = "share of successes"


def success_share(
    evidence: Evidence,
    method: str,
    risk: float,
    alpha: Sequence[float] | None = None,
    widths: Sequence[int] | None = None,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> Finding:
    """The share of trainings that end at or below ``risk`` lies in a band (Wilson interval); of
    cells with these ``target.alpha`` and ``learner.widths`` where given. A diverged training is no
    success."""
    rows = select_alpha_rows(evidence, method)
    for column, wanted in (("config.target.alpha", alpha), ("config.learner.widths", widths)):
        if wanted is not None and len(rows):
            rows = rows[matches_list(rows[column], wanted)] if column in rows else rows.iloc[:0]
    if rows.empty:
        return no_data(f"{method} was not measured there")
    good, count = int((rows["risk"] <= risk).sum()), len(rows)
    interval = stats.binomtest(good, count).proportion_ci(0.95, "wilson")
    return judge_interval(
        good / count, interval.low, interval.high, at_least, at_most, f"{good} of {count} trainings"
    )
