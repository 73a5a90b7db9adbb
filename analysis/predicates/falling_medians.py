"""``falling_medians``: methods in the order of a dose, each better than the one before it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.evidence import Evidence, Finding, judge_interval, no_data, select_values_by_seed
from analysis.risks import compute_median_interval

QUANTITY = "smallest fall from one method to the next, over its factor, at least 1"


def falling_medians(
    evidence: Evidence,
    methods: Sequence[str],
    column: str = "risk",
    factors: Sequence[float] | None = None,
) -> Finding:
    """From each of ``methods`` to the next, a column falls by its factor (1: strictly).

    In the median over seeds of the ratio; the step with the smallest margin is judged: measured is
    its ratio over its factor.
    """
    values = [select_values_by_seed(evidence, method, column) for method in methods]
    steps = list(zip(values, values[1:], methods[1:], strict=False))
    intervals = []
    for (before, after, method), factor in zip(steps, factors or [1.0] * len(steps), strict=False):
        pair = pd.concat([before, after], axis=1).dropna()
        if pair.empty:
            return no_data(f"no seed with {column} of {method} and the method before it")
        ratios = pair.iloc[:, 0] / pair.iloc[:, 1] / factor
        intervals.append(compute_median_interval(ratios.to_numpy()))
    if not intervals:
        return no_data("fewer than two methods")
    worst = min(intervals, key=lambda interval: interval[0])
    medians = ", ".join(f"{series.median():.2g}" for series in values)
    return judge_interval(*worst, at_least=1.0, remark=f"medians {medians}")
