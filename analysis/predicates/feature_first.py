"""``feature_first``: how many times the samples of its features a method needs to predict."""

from __future__ import annotations

from analysis.evidence import Evidence, select_cells
from analysis.filters import select_nstar
from analysis.source import Source
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.estimate_pairs import Ratio
from bfc.stats.estimates import Rescaled

QUANTITY = "ratio of n* of the risk to n* of the feature, at the d that decides"
FIGURE = "nstar"


def feature_first(
    evidence: Evidence,
    method: str,
    feature: str,
    eps: float,
    overlap: float = 0.8,
    at_least: float = 1.0,
) -> Measurement:
    """n* of a method at a risk ``eps`` over the n at which it has found a feature, at every d.

    Found: the overlap is at least ``overlap``, one of :data:`analysis.feature_tables.OVERLAPS`.
    """
    part = evidence.features.get(feature)
    if part is None:
        return not_run(f"no method measured the overlap of {feature}")
    risks = select_nstar(evidence, method, eps, None)
    feature_cells = select_cells(part, method, 1 - overlap)
    both = risks.merge(feature_cells, on="cell_id", suffixes=("", "_feature"))
    if both.empty:
        return not_run(f"no cell of {method} with n* of its risk and of {feature}")
    parts = []
    for _, row in both.iterrows():
        risk = Rescaled(row["nstar"], row["lo"], row["hi"])
        learned = Rescaled(row["nstar_feature"], row["lo_feature"], row["hi_feature"])
        parts.append(Part(Ratio(risk, learned), f"d = {row['d']}", frozenset([row["cell_id"]])))
    source = Source.of(risks[risks["cell_id"].isin(both["cell_id"])])
    return Measurement(parts, at_least, source=source)
