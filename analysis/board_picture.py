"""The board of verdicts as a picture: the forest plot of the page, for trackers and papers.

Drawn from the table of claims by matplotlib, with the positions of :mod:`analysis.web.forest`, so
that the page and the picture show the same.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import matplotlib.style
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.claim_table import format_finding
from analysis.display_table import NO_VALUE
from analysis.paper import STYLE, TEXT
from analysis.web.claim_views import MARKS
from analysis.web.forest import ForestLine, make_forest_line
from bfc.stats.claim_verdicts import Verdict

VERDICT_COLOURS: Mapping[str, str] = {
    Verdict.REPRODUCED: "#0a6b3d",
    Verdict.CONTRADICTED: "#a3261c",
    Verdict.UNDECIDED: "#6b5600",
    Verdict.NOT_RUN: "#5f6368",
}
"""Those of the page; a verdict has a mark besides."""
REGION = "#dcebe4"
"""The colour of what a claim demands."""
ROW_INCHES, HEAD_INCHES = 0.38, 0.45
SENTENCE, LINES_OF_SENTENCE = 74, 3
"""Characters of a line of a sentence, and the lines that it may take."""
AXIS = (0.56, 0.755)
"""Left and right end of the axes of the lines, as shares of the width."""


def draw_board(claims: pd.DataFrame) -> Figure:
    """A line per claim: mark, sentence, estimate with its intervals, and the number.

    ``claims``: the table of :func:`analysis.claims.judge_claims`, with at least one row. The thick
    bar is the unadjusted 95 % interval, the thin bar the one that judges.
    """
    with matplotlib.style.context(STYLE):
        height = HEAD_INCHES + ROW_INCHES * len(claims)
        figure = Figure(figsize=(TEXT, height))
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0 - HEAD_INCHES / height))
        axes.set(xlim=(0, 1), ylim=(len(claims), 0))
        axes.axis("off")
        for place, row in enumerate(claims.to_dict("records")):
            _draw_claim(axes, place + 0.5, row)
        figure.text(0.01, 1.0 - 0.3 / height, _count_verdicts(claims), fontsize=9, weight="bold")
    return figure


def _count_verdicts(claims: pd.DataFrame) -> str:
    counts = claims["verdict"].value_counts()
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in MARKS if verdict in counts)


def _draw_claim(axes: Axes, y: float, row: Mapping[str, Any]) -> None:
    colour = VERDICT_COLOURS[row["verdict"]]
    sentence = textwrap.wrap(row["claim"], SENTENCE, max_lines=LINES_OF_SENTENCE, placeholder=" …")
    text: dict[str, Any] = {"va": "center", "fontsize": 6.5}
    axes.text(0.01, y, MARKS[row["verdict"]], color=colour, weight="bold", **text)
    axes.text(0.03, y, "\n".join(sentence), linespacing=1.05, parse_math=False, **text)
    measured, interval = format_finding(row)
    if measured != NO_VALUE:
        number = measured if interval == NO_VALUE else f"{measured} [{interval}]"
        axes.text(AXIS[1] + 0.015, y, number, color=colour, **text)
    line = make_forest_line(row)
    if line is not None:
        _draw_line(axes, y, line, colour)


def _draw_line(axes: Axes, y: float, line: ForestLine, colour: str) -> None:
    """The demanded region, both intervals and the estimate."""
    left, right = line.region
    axes.fill_between([_place(left), _place(right)], y - 0.4, y + 0.4, color=REGION, lw=0)
    for threshold in line.thresholds:
        axes.plot([_place(threshold)] * 2, [y - 0.4, y + 0.4], color="black", lw=0.6)
    middle = _place((left + right) / 2.0)
    axes.text(middle, y + 0.38, line.demand, ha="center", va="bottom", fontsize=4.5)
    for ends, width in ((line.judged, 1.0), (line.plain, 2.6)):
        if ends is not None:
            axes.plot([_place(end) for end in ends], [y, y], color=colour, lw=width)
    if line.estimate is not None:
        axes.plot([_place(line.estimate)], [y], "o", color=colour, ms=3.6, mec="white", mew=0.5)


def _place(position: float) -> float:
    """From −1 … 1 to the share of the width."""
    left, right = AXIS
    return left + (right - left) * (position + 1.0) / 2.0
