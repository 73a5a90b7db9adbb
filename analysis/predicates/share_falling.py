"""``share_falling``: in how many seeds stored columns fall one after another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.evidence import Evidence, mark_diverged, select_largest, select_values_by_seed
from analysis.source import Source
from analysis.verdicts import Measurement, measure_one, not_run
from bfc.stats.estimates import Share

QUANTITY = "share of seeds in which all fall"
FIGURE = "correction"


def share_falling(
    evidence: Evidence,
    method: str,
    columns: Sequence[str],
    at_least: float,
    factors: Sequence[float] | None = None,
) -> Measurement:
    """The share of seeds in which each of ``columns`` is below the one before it, by its factor.

    A factor of 1 means strictly below. A training that diverged counts as one in which they do not
    fall, also where it has no value of a column; other seeds without a value are left out.
    """
    series = [select_values_by_seed(evidence, method, column) for column in columns]
    table = pd.concat(series, axis=1)
    largest = select_largest(evidence, method)
    diverged = largest.loc[mark_diverged(largest), "seed"]
    table = table[table.notna().all(axis=1) | table.index.isin(diverged)]
    if table.empty:
        return not_run(f"no {columns[0]} of {method}")
    values = table.to_numpy()
    is_fall = values[:, :-1] > values[:, 1:] * np.array(factors or [1.0] * (len(columns) - 1))
    successes, count = int(is_fall.all(axis=1).sum()), len(values)
    source = Source.of(largest)
    remark = f"{successes} of {count} seeds"
    return measure_one(Share(successes, count), at_least, source=source, remark=remark)
