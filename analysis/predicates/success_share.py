"""``success_share``: in how many trainings a method succeeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.cells import matches_list, select_alpha_rows
from analysis.evidence import Evidence
from analysis.source import Source
from analysis.verdicts import Measurement, measure_one, not_run
from bfc.stats.estimates import Share

QUANTITY = "share of successes"


def success_share(
    evidence: Evidence,
    method: str,
    risk: float,
    alpha: Sequence[float] | None = None,
    widths: Sequence[int] | None = None,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> Measurement:
    """The share of trainings that end at or below ``risk`` lies in a band.

    Of cells with these ``target.alpha`` and ``learner.widths`` where given. A diverged training is
    no success. Trainings of several cells that share a seed share its draws, so the interval counts
    them as one trial.
    """
    rows = select_alpha_rows(evidence, method)
    for column, values in (("config.target.alpha", alpha), ("config.learner.widths", widths)):
        if values is not None and len(rows):
            rows = rows[matches_list(rows[column], values)] if column in rows else rows.iloc[:0]
    if rows.empty:
        return not_run(f"{method} was not measured there")
    successes, count = int((rows["risk"] <= risk).sum()), len(rows)
    remark = f"{successes} of {count} trainings"
    seeds = int(rows["seed"].nunique())
    share = Share(successes * seeds / count, seeds)
    return measure_one(share, at_least, at_most, Source.of(rows), remark)
