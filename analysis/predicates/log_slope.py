"""``log_slope``: a measured column as a power of a configured number."""

from __future__ import annotations

import numpy as np

from analysis.evidence import Evidence, Finding, judge_interval, no_data

QUANTITY = "slope of logarithms"
RESAMPLINGS = 2000


def log_slope(
    evidence: Evidence, method: str, column: str, against: str, at_least: float, at_most: float
) -> Finding:
    """The slope of log ``column`` against log of the configuration key ``against``.

    Least squares over all trainings of the method; interval: 95 % of the slope over
    :data:`RESAMPLINGS` resamplings of the seeds, which every value of the key shares.
    """
    rows, key = evidence.trainings, f"config.{against}"
    if column not in rows or key not in rows:
        return no_data(f"no column {column} or key {against}")
    rows = rows[(rows["method"] == method) & (rows["kind"] != "confirmation")]
    table = rows.pivot_table(index="seed", columns=key, values=column).dropna()
    seeds, settings = table.shape
    if seeds < 2 or settings < 2:
        return no_data(f"{column} of {method} at {settings} values of {against} and {seeds} seeds")
    x = np.log(table.columns.to_numpy(float))
    x = x - x.mean()
    slopes = np.log(table.to_numpy(float)) @ x / (x @ x)
    draws = np.random.default_rng(0).integers(0, len(slopes), (RESAMPLINGS, len(slopes)))
    lo, hi = np.quantile(slopes[draws].mean(1), [0.025, 0.975])
    remark = f"{against} from {table.columns.min():g} to {table.columns.max():g}"
    return judge_interval(slopes.mean(), lo, hi, at_least, at_most, remark)
