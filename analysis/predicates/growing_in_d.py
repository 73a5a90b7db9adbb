"""``growing_in_d``: a method gets worse with the dimension."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence
from analysis.filters import MAX_D, select_per_d, split_by_d
from analysis.source import Source
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.median_ratio import MedianRatio

QUANTITY = "factor of the median between the two d that decide"


def growing_in_d(
    evidence: Evidence,
    method: str,
    where: Mapping[str, Any] | None = None,
    column: str = "risk",
    from_d: int = 1,
    to_d: int = MAX_D,
    at_least: float = 1.0,
) -> Measurement:
    """The median of a column grows by a factor from each measured d to the next."""
    rows = select_per_d(evidence, method, where, None, from_d, to_d)
    samples = {d: values.to_numpy() for d, values in split_by_d(rows, column).items()}
    if len(samples) < 2:
        return not_run(f"fewer than two d with {column} of {method}")
    parts = [
        Part(MedianRatio(samples[larger], samples[smaller]), f"d = {smaller} to {larger}")
        for smaller, larger in itertools.pairwise(samples)
    ]
    return Measurement(parts, at_least, source=Source.of(rows))
