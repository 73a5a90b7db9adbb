"""Whether a line crosses ε at all: at some d, below its grid at every d, or at none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import pandas as pd

from bfc.stats.outcomes import Outcome


class Crossing(Enum):
    """Where the cells of one line cross ε."""

    SOMEWHERE = auto()
    """At some d, or nothing is known."""
    BELOW_GRID = auto()
    """Below the smallest n, at every d."""
    NEVER = auto()
    """At no d, and all training ends on a plateau: no amount of data helps."""
    NOT_REACHED = auto()
    """At no d, for another reason."""


@dataclass(frozen=True)
class LineCrossing:
    """Where one line crosses ε; ``outcomes``: those at the largest n of its cells."""

    crossing: Crossing
    outcomes: frozenset[str] = frozenset()

    def describe(self) -> str:
        """Why a line without any crossing has none, as a clause; empty where there is one."""
        if self.crossing is Crossing.BELOW_GRID:
            return "below the grid at every d"
        if self.crossing is Crossing.NEVER:
            return "never reached at any d (plateau)"
        if self.crossing is Crossing.NOT_REACHED:
            reason = "mixed"
            if len(self.outcomes) == 1:
                reason = next(iter(self.outcomes)).replace("_", " ")
            return f"not reached at any d ({reason} at the largest n)"
        return ""


SHORT_TEXTS = {
    Crossing.SOMEWHERE: "no exponent",
    Crossing.BELOW_GRID: "below the grid",
    Crossing.NEVER: "never (plateau)",
    Crossing.NOT_REACHED: "not reached",
}
"""What stands in place of an exponent, in a legend or a table."""


def classify_crossing(nstar: pd.DataFrame) -> LineCrossing:
    """Where a line crosses ε, from its rows in the table of n*: one per d, at one ε."""
    if (nstar["censored"] == "left").all():
        return LineCrossing(Crossing.BELOW_GRID)
    if not (nstar["censored"] == "right").all():
        return LineCrossing(Crossing.SOMEWHERE)
    outcomes = frozenset(nstar["outcome"])
    is_plateau = outcomes == {Outcome.PLATEAU.value}
    return LineCrossing(Crossing.NEVER if is_plateau else Crossing.NOT_REACHED, outcomes)
