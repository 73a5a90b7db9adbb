"""``collapse``: n* follows a stated law of d, up to one constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from analysis.evidence import Evidence, Finding, Verdict, no_data
from analysis.filters import filter_by_config
from analysis.per_seed_nstar import find_crossings
from analysis.reference_laws import get_law as law_of

QUANTITY = "n* over a law of d"


def collapse(
    evidence: Evidence,
    method: str,
    eps: float,
    law: str,
    at_least: float,
    at_most: float,
    where: Mapping[str, Any] | None = None,
) -> Finding:
    """The median n* of the seeds over the law (:mod:`analysis.reference_laws`) at every d lies in a
    band. Measured: the geometric mean over d, its interval from those of the cells
    (:func:`analysis.per_seed_nstar.find_crossings`). Reproduced where every median and the whole
    interval lie in the band; contradicted where the interval, or that of some d, lies outside of it
    altogether. A d at which some seed does not cross eps within its grid is left out and said.
    ``where``: values of the configuration that pick some cells of the method."""
    cells = find_crossings(
        replace(evidence, trainings=filter_by_config(evidence.trainings, where)), method, eps
    )
    rows = cells[(cells["reached"] == cells["seeds"]) & cells["lo"].notna()].sort_values("d")
    if len(rows) < 2:
        return no_data(
            f"{len(rows)} of {len(cells)} d at which every seed (at least 3) of {method} crosses eps = {eps:g} inside its grid"
        )
    scale = np.array([law_of(law)(d, p) for d, p in zip(rows["d"], rows["degree"], strict=True)])
    ratio, lo, hi = (rows[name].to_numpy(float) / scale for name in ("median", "lo", "hi"))
    mean = float(np.exp(np.log(ratio).mean()))
    below, above = (
        float(np.sqrt((np.log(end / np.sqrt(lo * hi)) ** 2).sum()) / len(ratio)) for end in (lo, hi)
    )
    ends = mean * np.exp(-below), mean * np.exp(above)
    inside = bool(
        (ratio >= at_least).all()
        and (ratio <= at_most).all()
        and at_least <= ends[0]
        and ends[1] <= at_most
    )
    outside = bool(
        (hi < at_least).any() or (lo > at_most).any() or ends[1] < at_least or ends[0] > at_most
    )
    verdict = (
        Verdict.REPRODUCED if inside else Verdict.CONTRADICTED if outside else Verdict.UNDECIDED
    )
    each = ", ".join(f"{d}: {r:.3g}" for d, r in zip(rows["d"], ratio, strict=True))
    left = (
        ""
        if len(rows) == len(cells)
        else f"; left out: d = {', '.join(map(str, sorted(set(cells['d']) - set(rows['d']))))}"
    )
    return Finding(mean, *map(float, ends), verdict, f"medians by d {each}{left}")
