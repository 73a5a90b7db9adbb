"""``nstar_slope``: how n* grows with something other than d."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from scipy import stats

from analysis.evidence import Evidence, Finding, judge_interval, no_data
from analysis.per_seed_nstar import find_crossings

QUANTITY = "slope of log n*"


def nstar_slope(
    evidence: Evidence, method: str, eps: float, against: str, at_least: float, at_most: float
) -> Finding:
    """Slope of log n* (medians over seeds, :func:`analysis.per_seed_nstar.find_crossings`) against log
    of the configuration key ``against``, one intercept per d; a list counts by its length
    (``target.degrees``: the rank). Interval: 95 %, from the scatter about the line."""
    rows, key = evidence.trainings, f"config.{against}"
    if key not in rows:
        return no_data(f"no key {against}")
    points = []
    for value, part in rows[rows["method"] == method].groupby(key):
        cells = find_crossings(Evidence(evidence.nstar, evidence.exponents, part), method, eps)
        whole = cells[cells["reached"] == cells["seeds"]]
        points += [
            (d, np.log(_size(value)), np.log(n))
            for d, n in zip(whole["d"], whole["median"], strict=True)
        ]
    table = pd.DataFrame(points, columns=["d", "x", "y"])
    table = table[table.groupby("d")["x"].transform("nunique") > 1]
    free = len(table) - table["d"].nunique() - 1
    if free < 1:
        return no_data(f"{len(table)} values of n* of {method} at more than one {against}")
    x, y = (table[name] - table.groupby("d")[name].transform("mean") for name in ("x", "y"))
    slope = float((x @ y) / (x @ x))
    half = stats.t.ppf(0.975, free) * float(np.sqrt(((y - slope * x) ** 2).sum() / free / (x @ x)))
    return judge_interval(
        slope, slope - half, slope + half, at_least, at_most, f"{len(table)} cells"
    )


def _size(value: object) -> float:
    """A number, or the length of a list that is stored as JSON."""
    found = json.loads(value) if isinstance(value, str) else value
    return float(len(found) if isinstance(found, list) else found)
