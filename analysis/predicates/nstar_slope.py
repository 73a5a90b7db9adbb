"""``nstar_slope``: how n* grows with something other than d."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.evidence import Evidence, select_one_configuration
from analysis.per_seed_nstar import REMARK, find_crossings
from analysis.source import Source
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.censored_line import CensoredSlope, fit_known
from bfc.stats.estimates import Estimate

QUANTITY = "slope of log n*"
FIGURE = "nstar"
FEW = 3
"""Degrees of freedom up to which Student's quantile exceeds the normal one by more than half."""


def nstar_slope(
    evidence: Evidence, method: str, eps: float, against: str, at_least: float, at_most: float
) -> Measurement:
    """Slope of log n* against log of the configuration key ``against``, one intercept per d.

    n* are medians over seeds (:func:`analysis.per_seed_nstar.find_crossings`); a list counts by its
    length (``target.degrees``: the rank). A cell so many of whose seeds do not cross eps that its
    median is not known counts for what it says: above its largest n, or below its smallest.
    Interval: Student's, from the scatter about the line, or the one of
    :class:`bfc.stats.censored_line.CensoredSlope`.
    """
    key = f"config.{against}"
    if key not in evidence.trainings:
        return not_run(f"no key {against}")
    table = _select_usable(_tabulate_logs(evidence, method, eps, key))
    is_known = table["lower"] == table["upper"]
    if is_known.sum() - table["d"].nunique() < 2:
        return not_run(f"{is_known.sum()} values of n* of {method} at more than one {against}")
    remark = f"{len(table)} cells"
    if not is_known.all():
        remark += f", of which {(~is_known).sum()} bound n* only"
    remark += f"; {REMARK}"
    source = Source.of(evidence.trainings_of(method))
    part = Part(_estimate_slope(table), scarce=_describe_scarce_cells(table))
    return Measurement([part], at_least, at_most, source, remark)


def _describe_scarce_cells(table: pd.DataFrame) -> str:
    """``4 cells`` where these leave few degrees of freedom beyond the intercepts, else empty."""
    freedom = len(table) - table["d"].nunique() - 1
    return f"{len(table)} cells" if freedom <= FEW else ""


def _estimate_slope(table: pd.DataFrame) -> Estimate:
    x, lower, upper = (table[name].to_numpy(float) for name in ("x", "lower", "upper"))
    group = np.unique(table["d"], return_inverse=True)[1].astype(np.int64)
    if (lower == upper).all():
        return fit_known(x, lower, group)
    return CensoredSlope(x, lower, upper, group)


def _select_usable(table: pd.DataFrame) -> pd.DataFrame:
    """The cells at d with several values of the key and an n* that is known."""
    is_known = (table["lower"] == table["upper"]).groupby(table["d"]).transform("any")
    has_several = table.groupby("d")["x"].transform("nunique") > 1
    return table[is_known & has_several]


def _tabulate_logs(evidence: Evidence, method: str, eps: float, key: str) -> pd.DataFrame:
    """Columns ``d``, ``x`` (log of the key) and ``lower``, ``upper``: the bounds of log n*."""
    points = []
    for value, group in evidence.trainings_of(method).groupby(key):
        group = select_one_configuration(group, method, by=["d"])
        cells = find_crossings(replace(evidence, trainings=group), method, eps)
        for cell in cells[cells["seeds"] > 0].to_dict("records"):
            lower, upper = _bound_median(cell["lowers"]), _bound_median(cell["uppers"])
            points.append((cell["d"], np.log(_measure_size(value)), lower, upper))
    return pd.DataFrame(points, columns=["d", "x", "lower", "upper"])


def _bound_median(sizes: tuple[float, ...]) -> float:
    """The median of the logarithms of n that may be zero or infinite."""
    with np.errstate(divide="ignore"):
        return float(np.median(np.log(sizes)))


def _measure_size(value: object) -> float:
    """A number, or the length of a list that is stored as JSON."""
    restored = json.loads(value) if isinstance(value, str) else value
    return float(len(restored)) if isinstance(restored, list) else float(str(restored))
