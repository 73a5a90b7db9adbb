"""``nstar_span``: n* does not depend on the size that a study sweeps."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from analysis.evidence import Evidence
from analysis.filters import select_nstar
from analysis.source import Source
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.estimate_pairs import Ratio
from bfc.stats.estimates import Rescaled

QUANTITY = "largest ratio of n* between cells"
FIGURE = "depth"


def nstar_span(
    evidence: Evidence,
    method: str,
    eps: float,
    at_most: float,
    where: Mapping[str, Any] | None = None,
) -> Measurement:
    """The n* of any cell of a method over that of any other is at most a factor.

    ``where``: values of the configuration that select some cells of the method.
    """
    cells = select_nstar(evidence, method, eps, where)
    if len(cells) < 2:
        return not_run(f"fewer than two cells of {method}")
    parts = []
    for one, other in itertools.permutations(cells.to_dict("records"), 2):
        ratio = Ratio(_read_nstar(one), _read_nstar(other))
        place = f"L = {one['L']}, d = {one['d']} over L = {other['L']}, d = {other['d']}"
        parts.append(Part(ratio, place, frozenset({one["cell_id"], other["cell_id"]})))
    return Measurement(parts, at_most=at_most, source=Source.of(cells))


def _read_nstar(row: Mapping[str, Any]) -> Rescaled:
    return Rescaled(row["nstar"], row["lo"], row["hi"])
