"""``nstar_slope``: how n* grows with something other than d."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from analysis.evidence import Evidence, Finding, judge_interval, no_data
from analysis.per_seed_nstar import find_crossings

QUANTITY = "slope of log n*"


def nstar_slope(
    evidence: Evidence, method: str, eps: float, against: str, at_least: float, at_most: float
) -> Finding:
    """Slope of log n* against log of the configuration key ``against``, one intercept per d.

    n* are medians over seeds (:func:`analysis.per_seed_nstar.find_crossings`); a list counts by its
    length (``target.degrees``: the rank). Interval: 95 %, from the scatter about the line.
    """
    key = f"config.{against}"
    if key not in evidence.trainings:
        return no_data(f"no key {against}")
    table = _tabulate_logs(evidence, method, eps, key)
    table = table[table.groupby("d")["x"].transform("nunique") > 1]
    degrees_of_freedom = len(table) - table["d"].nunique() - 1
    if degrees_of_freedom < 1:
        return no_data(f"{len(table)} values of n* of {method} at more than one {against}")
    x = table["x"] - table.groupby("d")["x"].transform("mean")
    y = table["y"] - table.groupby("d")["y"].transform("mean")
    slope = float((x @ y) / (x @ x))
    variance = ((y - slope * x) ** 2).sum() / degrees_of_freedom / (x @ x)
    half = stats.t.ppf(0.975, degrees_of_freedom) * float(np.sqrt(variance))
    remark = f"{len(table)} cells"
    return judge_interval(slope, slope - half, slope + half, at_least, at_most, remark)


def _tabulate_logs(evidence: Evidence, method: str, eps: float, key: str) -> pd.DataFrame:
    """Columns ``d``, ``x`` (log of the key) and ``y`` (log n*).

    Only cells of which every seed crosses eps.
    """
    rows = evidence.trainings
    points = []
    for value, group in rows[rows["method"] == method].groupby(key):
        cells = find_crossings(replace(evidence, trainings=group), method, eps)
        cells = cells[cells["reached"] == cells["seeds"]]
        for d, n in zip(cells["d"], cells["median"], strict=True):
            points.append((d, np.log(_measure_size(value)), np.log(n)))
    return pd.DataFrame(points, columns=["d", "x", "y"])


def _measure_size(value: object) -> float:
    """A number, or the length of a list that is stored as JSON."""
    restored = json.loads(value) if isinstance(value, str) else value
    return float(len(restored)) if isinstance(restored, list) else float(str(restored))
