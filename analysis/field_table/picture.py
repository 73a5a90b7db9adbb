"""The table as a picture: exponents as colours, with what stands in every entry."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.colors import Normalize

from analysis.field_table.entries import Entry, EntryStatus
from analysis.field_table.table import FieldTable
from analysis.field_table.wording import (
    MARKS,
    describe_absence,
    describe_interval,
    describe_value,
)
from analysis.paper import STYLE

COLOUR_MAP = "cividis_r"
"""Distinguishable with every common colour blindness; dark: many samples."""
SMALLEST, LARGEST = 0.5, 4.5
"""Exponents at the ends of the colours."""
DARK = 3.0
"""Exponents from which text is white."""
COLUMN_INCHES, ROW_INCHES = 1.3, 0.46
TITLE_CHARACTERS = 16
"""Beyond so many, the title of a column goes on in another line."""
NOTE = (
    "–: cannot be measured;  > n: not reached with n samples;  =, ↑, ↓: compatible with theory's "
    "rate, above, below"
)


def draw_picture(table: FieldTable, path: Path) -> None:
    """Draw the whole table into a file whose ending names the format."""
    import matplotlib.style

    rows, columns = table.request.rows, table.request.columns
    entries = {(entry.row, entry.column): entry for entry in table.entries}
    exponents = np.full((len(rows), len(columns)), np.nan)
    with matplotlib.style.context(STYLE):
        size = (2.6 + COLUMN_INCHES * len(columns), 1.2 + ROW_INCHES * len(rows))
        figure = matplotlib.figure.Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                entry = entries[row.name, column.name]
                if entry.status is EntryStatus.EXPONENT and entry.fit is not None:
                    exponents[i, j] = entry.fit.exponent
                colour = "white" if exponents[i, j] >= DARK else "black"
                text = label_entry(entry)
                axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=7)
        image = axes.imshow(
            exponents, cmap=COLOUR_MAP, norm=Normalize(SMALLEST, LARGEST), aspect="auto"
        )
        axes.grid(False)
        edges = np.arange(-0.5, max(len(rows), len(columns)))
        axes.hlines(edges[: len(rows) + 1], -0.5, len(columns) - 0.5, color="white", linewidth=1.5)
        axes.vlines(edges[: len(columns) + 1], -0.5, len(rows) - 0.5, color="white", linewidth=1.5)
        titles = [textwrap.fill(column.title, TITLE_CHARACTERS) for column in columns]
        axes.set_xticks(range(len(columns)), titles)
        axes.set_yticks(range(len(rows)), [row.title for row in rows])
        axes.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
        axes.set_xlabel(NOTE, fontsize=7)
        for spine in axes.spines.values():
            spine.set_visible(False)
        label = f"exponent of n*({table.request.eps:g})"
        figure.colorbar(image, ax=axes, label=label, shrink=0.8, pad=0.02)
        figure.savefig(path, dpi=160)


def label_entry(entry: Entry) -> str:
    """What stands in the entry, in one line or two."""
    if entry.status is EntryStatus.CANNOT_RUN:
        return "–"
    lines = [describe_value(entry) + MARKS[entry.agreement], describe_interval(entry)]
    if entry.status is EntryStatus.NOT_RUN:
        lines[1] = describe_absence(entry)
    return "\n".join(filter(None, lines))
