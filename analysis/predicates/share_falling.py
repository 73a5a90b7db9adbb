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
    """The share of seeds in which each of ``columns`` is below the one before it, by its factor.

    A factor of 1 means strictly below. Reproduced where the share is reached, contradicted where
    its whole interval (Wilson) lies below.
    """
    series = [select_values_by_seed(evidence, method, column) for column in columns]
    table = pd.concat(series, axis=1).dropna()
    if table.empty:
        return no_data(f"no {columns[0]} of {method}")
    values = table.to_numpy()
    is_fall = values[:, :-1] > values[:, 1:] * np.array(factors or [1.0] * (len(columns) - 1))
    successes, count = int(is_fall.all(axis=1).sum()), len(values)
    interval = stats.binomtest(successes, count).proportion_ci(0.95, "wilson")
    share = successes / count
    verdict = Verdict.UNDECIDED
    if share >= at_least:
        verdict = Verdict.REPRODUCED
    elif interval.high < at_least:
        verdict = Verdict.CONTRADICTED
    remark = f"{successes} of {count} seeds; judged by the share itself"
    return Finding(share, interval.low, interval.high, verdict, remark)
