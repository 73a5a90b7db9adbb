"""``falling_medians``: methods in the order of a dose, each better than the one before it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.evidence import Evidence, choose_scale, select_largest, select_values_by_seed
from analysis.source import Source
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.estimates import SampleMedian

QUANTITY = "fall from one method to the next at the step that decides, over its factor, at least 1"


def falling_medians(
    evidence: Evidence,
    methods: Sequence[str],
    column: str = "risk",
    factors: Sequence[float] | None = None,
) -> Measurement:
    """From each of ``methods`` to the next, a column falls by its factor (1: strictly).

    In the median over seeds of the ratio; measured is the ratio of a step over its factor. Nothing
    is known of the ratio of a seed of which both, or a probe of one, diverged.
    """
    values = [select_values_by_seed(evidence, method, column) for method in methods]
    steps = list(zip(values, values[1:], methods[1:], strict=False))
    parts = []
    for (before, after, method), factor in zip(steps, factors or [1.0] * len(steps), strict=False):
        pair = pd.concat([before, after], axis=1, join="inner")
        if pair.empty:
            return not_run(f"no seed with {column} of {method} and the method before it")
        ratios = pair.iloc[:, 0] / pair.iloc[:, 1] / factor
        parts.append(
            Part(
                SampleMedian(ratios.to_numpy(float), scale=choose_scale(column)),
                f"the step to {method}",
            )
        )
    if not parts:
        return not_run("fewer than two methods")
    medians = ", ".join(f"{series.median():.2g}" for series in values)
    source = Source.of(*(select_largest(evidence, method) for method in methods))
    return Measurement(parts, at_least=1.0, source=source, remark=f"medians {medians}")
