"""One look per line on the whole page: colour and marker belong to its method. Kept apart from
drawing, so that a figure in the browser and one on paper agree."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import pandas as pd

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""The palette of Okabe and Ito, distinguishable with every common colour blindness (yellow, too
faint on white, is replaced)."""
DARK = ("#4DA3DB", "#F28A44", "#2CC09A", "#E39CC3", "#F0B73C", "#8CCBF2", "#E6E7E9", "#B99A5F")
"""The same colours on a dark page."""
MARKERS = "osD^vPXh<>"
DASHES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Look:
    """Of one line: colour and marker belong to its method, the dash tells lines of one method
    apart."""

    colour: str
    marker: str
    dash: str


def looks(nstar: pd.DataFrame) -> dict[str, Look]:
    """Line label and method → look, for every line of the n* table (columns ``method, line`` and,
    where there are several, ``study``).

    A method looks the same in every figure of a page: the colour that its name asks for, so that it
    mostly is the same on other pages, too, unless a method of a study they share has it. Methods of
    one study differ in colour as long as there are colours, then in marker."""
    studies = nstar["study"] if "study" in nstar else pd.Series("", index=nstar.index)
    shares = {method: set(own) for method, own in studies.groupby(nstar["method"])}
    taken: dict[str, tuple[int, int]] = {}
    for method in sorted(shares):
        beside = [place for other, place in taken.items() if shares[other] & shares[method]]
        wanted = zlib.crc32(method.encode())
        colour = min(
            range(len(COLOURS)),
            key=lambda c: (sum(c == place[0] for place in beside), (c - wanted) % len(COLOURS)),
        )
        marker = min(
            range(len(MARKERS)),
            key=lambda m: (
                (colour, m) in beside,
                sum(m == place[1] for place in beside),
                (m - colour) % len(MARKERS),
            ),
        )
        taken[method] = colour, marker
    found: dict[str, Look] = {}
    for method, (colour, marker) in taken.items():
        for variant, line in enumerate(
            sorted(nstar.loc[nstar["method"] == method, "line"].unique())
        ):
            found[line] = Look(
                COLOURS[colour],
                MARKERS[(marker + variant) % len(MARKERS)],
                DASHES[variant % len(DASHES)],
            )
        found.setdefault(method, Look(COLOURS[colour], MARKERS[marker], "-"))
    return found
