"""``log_slope``: a measured column as a power of a configured number, or of n."""

from __future__ import annotations

import numpy as np

from analysis.evidence import Evidence, select_one_configuration
from analysis.seed_slopes import fit_slopes, read_setting, tabulate_settings
from analysis.source import Source
from analysis.verdicts import Measurement, measure_one, not_run
from bfc.stats.estimates import Estimate, SampleMean, SampleMedian

QUANTITY = "slope of logarithms"


def log_slope(
    evidence: Evidence,
    method: str,
    column: str,
    against: str,
    at_least: float,
    at_most: float,
    from_n: int = 0,
) -> Measurement:
    """The slope of log ``column`` against log of ``against``: a configuration key, or ``n``.

    A list of one number (``learner.widths: [128]``) counts as that number. Trainings with fewer
    samples than ``from_n`` are left out.
    Least squares for every seed, since the values of the key share the seeds' draws; then the mean
    over seeds with Student's interval. Nothing is known of the slope of a seed with a training that
    diverged; where there is one, it is the median of the slopes, which does not need all of them.
    """
    rows, key = evidence.trainings, "n" if against == "n" else f"config.{against}"
    if column not in rows or key not in rows:
        return not_run(f"no column {column} or key {against}")
    rows = evidence.trainings_of(method)
    rows = rows[rows["n"] >= from_n] if from_n else rows
    rows = select_one_configuration(rows, method, by=[key])
    rows = rows.assign(setting=rows[key].map(read_setting))
    if rows["setting"].isna().any():
        return not_run(f"{against} is no number in some cells of {method}")
    table = tabulate_settings(rows, column, "setting")
    seeds, settings = table.shape
    if seeds < 2 or settings < 2:
        return not_run(f"{column} of {method} at {settings} values of {against} and {seeds} seeds")
    slopes = fit_slopes(table).to_numpy()
    remark = f"{against} from {table.columns.min():g} to {table.columns.max():g}"
    estimate: Estimate = SampleMean(slopes)
    if np.isnan(slopes).any():
        estimate = SampleMedian(slopes, scale="linear")
        remark += f"; median, since {np.isnan(slopes).sum()} of {seeds} seeds diverged"
    return measure_one(estimate, at_least, at_most, Source.of(rows), remark)
