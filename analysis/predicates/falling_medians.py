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
    """From each of ``methods`` to the next, a column falls by its factor (1: strictly) in the
    median over seeds of the ratio; the step with the least room is judged: measured is its ratio
    over its factor."""
    factors = list(factors or [1.0] * (len(methods) - 1))
    values = [select_values_by_seed(evidence, method, column) for method in methods]
    worst, medians = None, ", ".join(f"{v.median():.2g}" for v in values)
    for before, after, factor, name in zip(values, values[1:], factors, methods[1:], strict=False):
        pair = pd.concat([before, after], axis=1).dropna()
        if pair.empty:
            return no_data(f"no seed with {column} of {name} and the method before it")
        found = compute_median_interval((pair.iloc[:, 0] / pair.iloc[:, 1] / factor).to_numpy())
        worst = found if worst is None or found[0] < worst[0] else worst
    return (
        judge_interval(*worst, at_least=1.0, remark=f"medians {medians}")
        if worst
        else no_data("fewer than two methods")
    )
