"""``nstar_slope``: how n* grows with something other than d."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.evidence import Evidence, select_one_configuration
from analysis.per_seed_nstar import find_crossings
from analysis.source import Source
from analysis.verdicts import Measurement, measure_one, not_run
from bfc.stats.estimates import WithStandardError

QUANTITY = "slope of log n*"
FIGURE = "nstar"


def nstar_slope(
    evidence: Evidence, method: str, eps: float, against: str, at_least: float, at_most: float
) -> Measurement:
    """Slope of log n* against log of the configuration key ``against``, one intercept per d.

    n* are medians over seeds (:func:`analysis.per_seed_nstar.find_crossings`); a list counts by its
    length (``target.degrees``: the rank). Interval: Student's, from the scatter about the line.
    """
    key = f"config.{against}"
    if key not in evidence.trainings:
        return not_run(f"no key {against}")
    table = _tabulate_logs(evidence, method, eps, key)
    table = table[table.groupby("d")["x"].transform("nunique") > 1]
    degrees_of_freedom = len(table) - table["d"].nunique() - 1
    if degrees_of_freedom < 1:
        return not_run(f"{len(table)} values of n* of {method} at more than one {against}")
    x = table["x"] - table.groupby("d")["x"].transform("mean")
    y = table["y"] - table.groupby("d")["y"].transform("mean")
    slope = float((x @ y) / (x @ x))
    variance = ((y - slope * x) ** 2).sum() / degrees_of_freedom / (x @ x)
    estimate = WithStandardError(slope, float(np.sqrt(variance)), degrees_of_freedom)
    source = Source.of(evidence.trainings_of(method))
    return measure_one(estimate, at_least, at_most, source, f"{len(table)} cells")


def _tabulate_logs(evidence: Evidence, method: str, eps: float, key: str) -> pd.DataFrame:
    """Columns ``d``, ``x`` (log of the key) and ``y`` (log n*).

    Only cells of which every seed crosses eps.
    """
    points = []
    for value, group in evidence.trainings_of(method).groupby(key):
        group = select_one_configuration(group, method, by=["d"])
        cells = find_crossings(replace(evidence, trainings=group), method, eps)
        cells = cells[cells["reached"] == cells["seeds"]]
        for d, n in zip(cells["d"], cells["median"], strict=True):
            points.append((d, np.log(_measure_size(value)), np.log(n)))
    return pd.DataFrame(points, columns=["d", "x", "y"])


def _measure_size(value: object) -> float:
    """A number, or the length of a list that is stored as JSON."""
    restored = json.loads(value) if isinstance(value, str) else value
    return float(len(restored)) if isinstance(restored, list) else float(str(restored))
