"""``collapse``: n* follows a stated law of d, up to one constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.evidence import Evidence, Finding, Verdict, no_data
from analysis.filters import filter_by_config
from analysis.per_seed_nstar import find_crossings
from analysis.reference_laws import get_law

QUANTITY = "n* over a law of d"


@dataclass(frozen=True)
class _Ratios:
    """n* over the law by d: medians and interval ends, and their geometric mean over d."""

    median: np.ndarray
    lo: np.ndarray
    hi: np.ndarray

    @property
    def mean(self) -> float:
        return float(np.exp(np.log(self.median).mean()))

    @property
    def interval(self) -> tuple[float, float]:
        """Of the mean: half widths of the logarithms in quadrature, each side by itself."""
        return (
            self.mean * np.exp(-self._half_width(self.lo)),
            self.mean * np.exp(self._half_width(self.hi)),
        )

    def _half_width(self, end: np.ndarray) -> float:
        logs = np.log(end / np.sqrt(self.lo * self.hi))
        return float(np.sqrt((logs**2).sum()) / len(self.median))


def collapse(
    evidence: Evidence,
    method: str,
    eps: float,
    law: str,
    at_least: float,
    at_most: float,
    where: Mapping[str, Any] | None = None,
) -> Finding:
    """The median n* of the seeds over the law at every d lies in a band.

    The laws are those of :mod:`analysis.reference_laws`. Measured: the geometric mean over d, its
    interval from those of the cells (:func:`analysis.per_seed_nstar.find_crossings`). Reproduced
    where every median and the whole interval lie in the band; contradicted where the interval, or
    that of some d, lies entirely outside of it. A d at which some seed does not cross eps within
    its grid is left out and named in the remark. ``where``: values of the configuration that select
    some cells of the method.
    """
    trainings = filter_by_config(evidence.trainings, where)
    cells = find_crossings(replace(evidence, trainings=trainings), method, eps)
    rows = cells[(cells["reached"] == cells["seeds"]) & cells["lo"].notna()].sort_values("d")
    if len(rows) < 2:
        return no_data(
            f"{len(rows)} of {len(cells)} d at which every seed (at least 3) of {method} crosses "
            f"eps = {eps:g} inside its grid"
        )
    predict = get_law(law)
    scale = np.array([predict(d, p) for d, p in zip(rows["d"], rows["degree"], strict=True)])
    ratios = _Ratios(*(rows[name].to_numpy(float) / scale for name in ("median", "lo", "hi")))
    lo, hi = ratios.interval
    verdict = _judge(ratios, at_least, at_most)
    return Finding(ratios.mean, float(lo), float(hi), verdict, _describe(rows, cells, ratios))


def _judge(ratios: _Ratios, at_least: float, at_most: float) -> Verdict:
    lo, hi = ratios.interval
    is_every_median_inside = (ratios.median >= at_least).all() and (ratios.median <= at_most).all()
    if is_every_median_inside and at_least <= lo and hi <= at_most:
        return Verdict.REPRODUCED
    is_some_d_outside = (ratios.hi < at_least).any() or (ratios.lo > at_most).any()
    if is_some_d_outside or hi < at_least or lo > at_most:
        return Verdict.CONTRADICTED
    return Verdict.UNDECIDED


def _describe(rows: pd.DataFrame, cells: pd.DataFrame, ratios: _Ratios) -> str:
    """The medians by d, and the d that are left out."""
    medians = [f"{d}: {ratio:.3g}" for d, ratio in zip(rows["d"], ratios.median, strict=True)]
    remark = f"medians by d {', '.join(medians)}"
    if len(rows) < len(cells):
        omitted = sorted(set(cells["d"]) - set(rows["d"]))
        remark += f"; left out: d = {', '.join(map(str, omitted))}"
    return remark
