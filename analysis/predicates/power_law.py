"""``power_law``: how an error grows with a ratio of coefficients alpha."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.cells import compute_alpha_ratio, select_alpha_rows
from analysis.evidence import Evidence, select_one_configuration
from analysis.seed_slopes import fit_slopes, tabulate_settings
from analysis.source import Source
from analysis.verdicts import Measurement, measure_one, not_run
from bfc.stats.estimates import SampleMedian

QUANTITY = "exponent of an error in a ratio of coefficients α"
FIGURE = "law"


def power_law(
    evidence: Evidence,
    method: str,
    column: str,
    ratio: Sequence[int],
    L: int | None = None,
    at_least: float = -math.inf,
    at_most: float = math.inf,
) -> Measurement:
    """The exponent with which a stored column grows with alpha_upper / alpha_lower.

    ``ratio``: [upper, lower]. The slope of log against log by least squares, per seed over the
    cells, at the largest d; the median over seeds with its interval must lie in a band. Nothing is
    known of the slope of a seed with a training that diverged.
    """
    rows = select_alpha_rows(evidence, method, L)
    if rows.empty or column not in rows:
        return not_run(f"no {column} of {method}")
    rows = rows[rows["d"] == rows["d"].max()]
    rows = rows.assign(alpha_ratio=compute_alpha_ratio(rows, ratio))
    rows = select_one_configuration(rows, method, by=["alpha_ratio"])
    table = tabulate_settings(rows, column, "alpha_ratio")
    if table.shape[1] < 3 or table.empty:
        return not_run(f"fewer than three ratios alpha_{ratio[0]} / alpha_{ratio[1]}")
    slopes = fit_slopes(table).to_numpy()
    remark = f"ratios {table.columns.min():g} to {table.columns.max():g}, {len(table)} seeds"
    return measure_one(
        SampleMedian(slopes, scale="linear"), at_least, at_most, Source.of(rows), remark
    )
