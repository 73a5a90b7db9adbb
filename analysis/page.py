"""The HTML page: one file that opens anywhere, asks nothing of a network and prints. This module
turns records into tables and fills the template ``page.html``; everything that came from a results
folder is escaped there."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import numpy as np

from analysis.style import COLOURS, DARK

PROSE = 30
"""Characters from which a cell's text is prose."""


@dataclass(frozen=True)
class Cell:
    """A table cell: what is read, what it is sorted by, and the study to whose section it leads."""

    text: str
    sort: Any
    study: str = ""

    @property
    def key(self) -> str:
        """The sort key as the page's script reads it: a number, a text, or nothing where it is
        unknown."""
        return {"nan": "", "inf": "Infinity", "-inf": "-Infinity"}.get(
            str(self.sort), str(self.sort)
        )


@dataclass(frozen=True)
class View:
    """A table as the template shows it; ``constant`` says what all rows share, ``empty`` stands for
    a table without rows."""

    columns: list[str]
    rows: list[list[Cell]] = field(default_factory=list)
    numbers: frozenset[str] = frozenset()
    wide: frozenset[str] = frozenset()
    """Columns of prose, which need room."""
    empty: str = "nothing to show"
    constant: str = ""


def render(**values: Any) -> str:
    """The page from the template's values: title, summary, downloads, problems, studies."""
    page, tables, charts = (
        resources.files("analysis").joinpath(name).read_text(encoding="utf-8")
        for name in ("page.html", "page.js", "chart.js")
    )
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    colours = [(name.lstrip("#"), name, dark) for name, dark in zip(COLOURS, DARK, strict=True)]
    anchors = {study["name"]: f"study-{place}" for place, study in enumerate(values["studies"], 1)}
    return environment.from_string(page).render(
        **values, anchors=anchors, script=markupsafe.Markup(charts + tables), colours=colours
    )


def data_uri(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def view(
    records: Sequence[Mapping[str, Any]], empty: str = "nothing to show", fold: Sequence[str] = ()
) -> View:
    """A table of records with equal keys; a value is shown as it is, a tuple as the parts of a
    :class:`Cell`. Columns named in ``fold`` that hold one value in all rows are said once above the
    table."""
    if not records:
        return View([], empty=empty)
    same = {
        name: records[0][name]
        for name in fold
        if name in records[0] and len({r[name] for r in records}) == 1
    }
    columns = [name for name in records[0] if name not in same]
    cells = [[record[name] for name in columns] for record in records]
    rows = [
        [Cell(*value) if isinstance(value, tuple) else Cell(plain(value), value) for value in row]
        for row in cells
    ]
    numbers = [
        c
        for i, c in enumerate(columns)
        if all(isinstance(row[i].sort, (int, float, np.number)) for row in rows)
    ]
    constant = ", ".join(f"{name}: {plain(value)}" for name, value in same.items() if value != "")
    wide = [
        c
        for i, c in enumerate(columns)
        if c not in numbers and max(len(row[i].text) for row in rows) > PROSE
    ]
    return View(columns, rows, frozenset(numbers), frozenset(wide), empty, constant)


def plain(value: Any) -> str:
    """A value as a reader would write it."""
    if value is None:
        return ""
    if isinstance(value, (float, np.floating)):
        return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)
