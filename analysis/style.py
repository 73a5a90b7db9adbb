"""One style per line on the whole page: colour and marker belong to its method.

Kept apart from drawing, so that a figure in the browser and the same figure on paper agree.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""The palette of Okabe and Ito, distinguishable with every common colour blindness.

Its yellow, too faint on white, is replaced.
"""
DARK = ("#4DA3DB", "#F28A44", "#2CC09A", "#E39CC3", "#F0B73C", "#8CCBF2", "#E6E7E9", "#B99A5F")
"""The same colours on a dark page."""
MARKERS = "osD^vPXh<>"
DASHES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class LineStyle:
    """How one line is drawn: lines of one method share the colour and differ in the dash."""

    colour: str
    marker: str
    dash: str


def assign_line_styles(nstar: pd.DataFrame) -> dict[str, LineStyle]:
    """Line label and method → style, for every line of the n* table.

    ``nstar`` has the columns ``method, line`` and, where there are several, ``study``. A method has
    the same style in every figure of a page. Its colour follows from its name, so that it is mostly
    the same on other pages, too, unless a method that shares a study with it has that colour.
    Methods of one study differ in colour as long as there are colours, then in marker.
    """
    styles: dict[str, LineStyle] = {}
    for method, (colour, marker) in _assign_methods(nstar).items():
        lines = sorted(nstar.loc[nstar["method"] == method, "line"].unique())
        for variant, line in enumerate(lines):
            styles[line] = LineStyle(
                COLOURS[colour],
                MARKERS[(marker + variant) % len(MARKERS)],
                DASHES[variant % len(DASHES)],
            )
        styles.setdefault(method, LineStyle(COLOURS[colour], MARKERS[marker], "-"))
    return styles


def _assign_methods(nstar: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Method → index of its colour and of its marker."""
    studies = nstar["study"] if "study" in nstar else pd.Series("", index=nstar.index)
    studies_of = {method: set(names) for method, names in studies.groupby(nstar["method"])}
    assigned: dict[str, tuple[int, int]] = {}
    for method in sorted(studies_of):
        neighbours = [
            pair for other, pair in assigned.items() if studies_of[other] & studies_of[method]
        ]
        colour = _choose_colour(method, neighbours)
        assigned[method] = colour, _choose_marker(colour, neighbours)
    return assigned


def _choose_colour(method: str, neighbours: Collection[tuple[int, int]]) -> int:
    """The colour that fewest neighbours have, and of those the one nearest to the name's own."""
    preferred = zlib.crc32(method.encode())

    def cost(colour: int) -> tuple[int, int]:
        uses = sum(colour == taken for taken, _ in neighbours)
        return uses, (colour - preferred) % len(COLOURS)

    return min(range(len(COLOURS)), key=cost)


def _choose_marker(colour: int, neighbours: Collection[tuple[int, int]]) -> int:
    """The marker that is new in this colour, and of those the one that fewest neighbours have."""

    def cost(marker: int) -> tuple[bool, int, int]:
        uses = sum(marker == taken for _, taken in neighbours)
        return (colour, marker) in neighbours, uses, (marker - colour) % len(MARKERS)

    return min(range(len(MARKERS)), key=cost)
