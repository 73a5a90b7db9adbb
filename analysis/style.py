"""One look per line on the whole page: colour and marker belong to its method. Kept apart from drawing, so that a figure in the browser
and one on paper agree."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""The palette of Okabe and Ito, distinguishable with every common colour blindness (yellow, too faint on white, is
replaced)."""
DARK = ("#4DA3DB", "#F28A44", "#2CC09A", "#E39CC3", "#F0B73C", "#8CCBF2", "#E6E7E9", "#B99A5F")
"""The same colours on a dark page."""
MARKERS = "osD^vPXh<>"
DASHES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Look:
    """Of one line: colour and marker belong to its method, the dash tells lines of one method apart."""

    colour: str
    marker: str
    dash: str


def looks(nstar: pd.DataFrame) -> dict[str, Look]:
    """Line label → look, for every line of the n* table; the same methods get the same colours in any study."""
    methods = sorted(nstar["method"].unique())
    found: dict[str, Look] = {}
    for rank, method in enumerate(methods):
        for variant, line in enumerate(sorted(nstar.loc[nstar["method"] == method, "line"].unique())):
            found[line] = Look(
                COLOURS[rank % len(COLOURS)],
                MARKERS[(rank + variant * len(COLOURS)) % len(MARKERS)],
                DASHES[variant % len(DASHES)],
            )
    return found
