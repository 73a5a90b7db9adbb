"""``collapse``: n* follows a stated law of d, up to one constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from analysis.evidence import Evidence, select_one_configuration
from analysis.filters import filter_by_config, list_cells
from analysis.per_seed_nstar import REMARK, find_crossings
from analysis.reference_laws import get_law
from analysis.source import Source
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.estimates import SampleMedian

QUANTITY = "n* over a law of d"
FIGURE = "over-law"


def collapse(
    evidence: Evidence,
    method: str,
    eps: float,
    law: str,
    at_least: float,
    at_most: float,
    where: Mapping[str, Any] | None = None,
) -> Measurement:
    """The median n* of the seeds over the law lies in a band, at every d.

    The laws are those of :mod:`analysis.reference_laws`. n* are read seed by seed
    (:func:`analysis.per_seed_nstar.find_crossings`). A seed that does not cross eps within its grid
    counts for what it says: its n* is above the largest n, or below the smallest. ``where``: values
    of the configuration that select some cells of the method.
    """
    measured = filter_by_config(evidence.trainings_of(method), where)
    measured = select_one_configuration(measured, method, by=["d"])
    cells = find_crossings(replace(evidence, trainings=measured), method, eps)
    rows = cells[cells["seeds"] > 1].sort_values("d")
    if len(rows) < 2:
        return not_run(f"{len(rows)} d with learning curves of two or more seeds of {method}")
    predict = get_law(law)
    parts = []
    for row in rows.to_dict("records"):
        scale = predict(row["d"], row["degree"])
        sizes, lowers, uppers = (
            np.array(row[name]) / scale for name in ("sizes", "lowers", "uppers")
        )
        estimate = SampleMedian(sizes, lowers, uppers)
        parts.append(Part(estimate, f"d = {row['d']}", list_cells(row["d"], measured)))
    values = ", ".join(f"{part.estimate.value:.3g} at {part.place}" for part in parts)
    remark = f"medians {values}; {REMARK}"
    censored = rows[rows["reached"] < rows["seeds"]]
    if len(censored):
        counts = ", ".join(
            f"{row['seeds'] - row['reached']} of {row['seeds']} at d = {row['d']}"
            for row in censored.to_dict("records")
        )
        remark += f"; seeds that do not cross eps = {eps:g} inside their grid: {counts}"
    source = Source.of(measured[measured["d"].isin(rows["d"])])
    return Measurement(parts, at_least, at_most, source, remark)
