"""``never``: a method that no amount of data helps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from analysis.evidence import Evidence, select_cells
from analysis.source import Source
from analysis.training_kinds import drop_confirming
from analysis.verdicts import Measurement, Part, not_run
from bfc.stats.estimates import Ends, Share
from bfc.stats.outcomes import Outcome
from bfc.stats.predicted_counts import PredictedIntervals

HIGHEST_CHANCE = 0.2
"""A chance of success above this is not called never."""
QUANTITY = f"chance of success at the largest n, at most {HIGHEST_CHANCE:g}"
FIGURE = "risk"
UNCONFIRMED = "its plateau is not confirmed, which takes larger n or longer training"


@dataclass(frozen=True)
class ChanceOfSuccess:
    """The chance that a training at the largest n succeeds.

    The interval is that of Clopper and Pearson. A plateau that is not confirmed, which more data or
    steps may end, bounds nothing from above.
    """

    share: Share
    is_confirmed: bool

    @property
    def value(self) -> float:
        return self.share.value

    def grow(self, factor: float) -> ChanceOfSuccess:
        return replace(self, share=self.share.grow(factor))

    def predict_intervals(self, factor: float, level: float) -> PredictedIntervals:
        predicted = self.share.predict_intervals(factor, level)
        if self.is_confirmed:
            return predicted
        return predicted._replace(hi=np.ones_like(predicted.hi))

    def interval(self, level: float) -> Ends:
        lo, hi = self.share.interval(level)
        return lo, hi if self.is_confirmed else 1.0


def never(evidence: Evidence, method: str, eps: float) -> Measurement:
    """The method reaches eps at no d, and its trainings are on a plateau.

    In every cell the chance of success at the largest n is at most :data:`HIGHEST_CHANCE`, and
    neither fresh data nor more steps help.
    """
    cells = select_cells(evidence, method, eps)
    if cells.empty:
        return not_run(f"{method} was not measured")
    trainings = drop_confirming(evidence.trainings)
    parts = []
    for cell in cells.to_dict("records"):
        rows = trainings[trainings["cell_id"] == cell["cell_id"]]
        rows = rows[rows["n"] == rows["n"].max()]
        share = Share(int((rows["risk"] <= eps).sum()), len(rows))
        is_confirmed = cell["outcome"] == Outcome.PLATEAU.value
        estimate = ChanceOfSuccess(share, is_confirmed)
        obstacle = "" if is_confirmed else UNCONFIRMED
        place = f"d = {cell['d']}"
        parts.append(Part(estimate, place, frozenset({cell["cell_id"]}), obstacle=obstacle))
    confirmed = int((cells["outcome"] == Outcome.PLATEAU.value).sum())
    return Measurement(
        parts,
        at_most=HIGHEST_CHANCE,
        source=Source.of(cells),
        remark=f"plateau confirmed in {confirmed} of {len(cells)} cells",
    )
