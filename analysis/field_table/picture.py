"""The table as a picture: exponents as colours, with what stands in every entry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import Normalize

from analysis.field_table.entries import Status
from analysis.field_table.files import FieldTable
from analysis.field_table.wording import MARKS, describe_interval, describe_value
from analysis.paper import STYLE

COLOUR_MAP = "cividis_r"
"""Distinguishable with every common colour blindness; dark: many samples."""
SMALLEST, LARGEST = 0.5, 4.5
"""Exponents at the ends of the colours."""
DARK = 3.0
"""Exponents from which text is white."""
COLUMN_INCHES, ROW_INCHES = 1.3, 0.46


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
                if entry.status is Status.EXPONENT and entry.fit is not None:
                    exponents[i, j] = entry.fit.exponent
                text = describe_value(entry) + MARKS[entry.agreement]
                if entry.status is Status.CANNOT_RUN:
                    text = "–"
                colour = "white" if exponents[i, j] >= DARK else "black"
                interval = describe_interval(entry)
                label = f"{text}\n{interval}" if interval else text
                axes.text(j, i, label, ha="center", va="center", color=colour, fontsize=7)
        image = axes.imshow(
            exponents, cmap=COLOUR_MAP, norm=Normalize(SMALLEST, LARGEST), aspect="auto"
        )
        axes.grid(False)
        axes.set_xticks(range(len(columns)), [column.title for column in columns])
        axes.set_yticks(range(len(rows)), [row.title for row in rows])
        axes.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        label = f"exponent of n*({table.request.eps:g})"
        figure.colorbar(image, ax=axes, label=label, shrink=0.8, pad=0.02)
        figure.savefig(path, dpi=160)
