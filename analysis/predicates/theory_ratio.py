"""``theory_ratio``: n* follows what the target itself predicts, up to a constant in a band."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence
from analysis.filters import select_nstar
from analysis.source import Source
from analysis.theory import predict_nstar
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.estimates import Rescaled

QUANTITY = "n* over the predicted n*"
FIGURE = "nstar"


def theory_ratio(
    evidence: Evidence,
    method: str,
    eps: float,
    kind: str,
    at_least: float = 0.0,
    at_most: float = math.inf,
    where: Mapping[str, Any] | None = None,
) -> Measurement:
    """n* of a method over the n* of ``theory()``, for one ``kind`` of method, at every cell.

    A cell whose n* is censored counts for what it says. Cells whose target predicts no n* for that
    kind are left out. ``where``: values of the configuration that select some cells of the method.
    """
    cells = select_nstar(evidence, method, eps, where)
    trainings = evidence.trainings_of(method)
    parts, measured = [], []
    for row in cells.to_dict("records"):
        predicted = predict_nstar(trainings[trainings["cell_id"] == row["cell_id"]], kind)
        if predicted is None:
            continue
        ratio = Rescaled(*(row[name] / predicted for name in ("nstar", "lo", "hi")))
        place = f"d = {row['d']}, L = {row['L']}"
        parts.append(Part(ratio, place, frozenset({row["cell_id"]})))
        measured.append(row["cell_id"])
    if not parts:
        return not_run(f"no cell of {method} on a target that predicts n* of kind {kind}")
    source = Source.of(cells[cells["cell_id"].isin(measured)])
    return Measurement(parts, at_least, at_most, source)
