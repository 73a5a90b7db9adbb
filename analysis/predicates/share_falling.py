"""``share_falling``: in how many seeds stored columns fall one after another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from analysis.evidence import Evidence, Finding, Verdict, no_data, select_values_by_seed

QUANTITY = "share of seeds in which all fall"


def share_falling(
    evidence: Evidence,
    method: str,
    columns: Sequence[str],
    at_least: float,
    factors: Sequence[float] | None = None,
) -> Finding:
    """The share of seeds in which each of ``columns`` is below the one before it, by its factor (1:
    strictly). Reproduced where the share is reached, contradicted where its whole interval (Wilson)
    lies below."""
    table = pd.concat(
        [select_values_by_seed(evidence, method, column) for column in columns], axis=1
    ).dropna()
    if table.empty:
        return no_data(f"no {columns[0]} of {method}")
    values = table.to_numpy()
    fall = values[:, :-1] > values[:, 1:] * np.array(factors or [1.0] * (len(columns) - 1))
    good, count = int(fall.all(axis=1).sum()), len(values)
    interval = stats.binomtest(good, count).proportion_ci(0.95, "wilson")
    share = good / count
    verdict = (
        Verdict.REPRODUCED
        if share >= at_least
        else Verdict.CONTRADICTED
        if interval.high < at_least
        else Verdict.UNDECIDED
    )
    return Finding(
        share,
        interval.low,
        interval.high,
        verdict,
        f"{good} of {count} seeds; judged by the share itself",
    )
