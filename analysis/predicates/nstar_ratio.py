"""``nstar_ratio``: how many times the samples of one method another needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.evidence import Evidence
from analysis.filters import PLACE, select_nstar
from analysis.source import Source
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.estimate_pairs import Ratio
from bfc.stats.estimates import Rescaled

QUANTITY = "ratio of n*"
FIGURE = "nstar"


def nstar_ratio(
    evidence: Evidence,
    over: str,
    under: str,
    eps: float,
    at_least: float = 0.0,
    at_most: float = math.inf,
    from_L: int = 1,
    d: int | None = None,
    over_where: Mapping[str, Any] | None = None,
    under_where: Mapping[str, Any] | None = None,
    by: Sequence[str] = PLACE,
) -> Measurement:
    """n* of one method over that of another, at every (d, L >= from_L, degree) of both.

    Or at one ``d``. A cell whose n* is censored counts for what it says: above its largest n, or
    below its smallest. ``..._where``: values of the configuration that select some cells of a
    method, such as ``{learner.widths: [512]}``. ``by``: what the places of both have in common,
    ``[d]`` where two targets of different depth or degree are compared.
    """
    numerators = select_nstar(evidence, over, eps, over_where)
    denominators = select_nstar(evidence, under, eps, under_where)
    for method, rows in ((over, numerators), (under, denominators)):
        if rows.duplicated(list(by)).any():
            return not_run(f"several cells of {method} with the same {', '.join(by)}")
    both = numerators.merge(denominators, on=list(by), suffixes=("", "_under"))
    both = both[both["L"] >= from_L]
    if d is not None:
        both = both[both["d"] == d]
    if both.empty:
        return not_run(f"no cell with both {over} and {under}")
    key = "degree" if both["degree"].nunique() > 1 else "L"
    parts = [
        Part(
            Ratio(_read_nstar(row, ""), _read_nstar(row, "_under")),
            f"d = {row['d']}, {key} {'' if key == 'degree' else '= '}{row[key]}",
            frozenset(row[key] for key in ("cell_id", "cell_id_under") if key in row),
        )
        for _, row in both.iterrows()
    ]
    pairs = both[list(by)]
    source = Source.of(numerators.merge(pairs), denominators.merge(pairs))
    return Measurement(parts, at_least, at_most, source)


def _read_nstar(row: pd.Series, suffix: str) -> Rescaled:
    """n* of one cell with the interval of its posterior; an end is open where it is censored."""
    return Rescaled(row[f"nstar{suffix}"], row[f"lo{suffix}"], row[f"hi{suffix}"])
