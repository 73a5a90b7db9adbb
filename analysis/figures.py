"""Makes the figures of a study.

A study gets every figure of :mod:`analysis.plots` that needs no options, and those that its file
asks for. A figure is drawn where its tables can fill it, and named by what it shows, so that the
same store always gives the same files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.chart import Chart, FigureDescription
from analysis.evidence import Evidence
from analysis.registry import call_part, list_options, list_parts, load_constant, load_part
from bfc.errors import UserError

DEFAULT_ORDER = 50


@dataclass(frozen=True)
class NamedFigure:
    """A figure with the name of its files, without ending."""

    name: str
    description: FigureDescription

    def to_table(self) -> pd.DataFrame:
        """What it shows."""
        if isinstance(self.description, Chart):
            return self.description.to_table()
        return self.description.data

    @cached_property
    def csv(self) -> str:
        """The table as CSV, which the page and the file beside it hold."""
        content: str = self.to_table().to_csv(index=False)
        return content


def make_figures(
    evidence: Evidence, requests: Sequence[Mapping[str, Any]] = ()
) -> Iterator[FigureDescription]:
    """Every figure of one study that its tables can fill.

    ``requests``: ``study.figures`` of its file, mappings of ``figure`` and its options. Raises
    :class:`UserError` for an unknown figure or option.
    """
    where = f"{evidence.name}: study.figures:"
    for request in requests:
        if not isinstance(request, Mapping) or not isinstance(request.get("figure"), str):
            raise UserError(f"{where} must be a list of mappings, each with a key figure")
    requested = {request["figure"] for request in requests}
    defaults: list[Mapping[str, Any]] = [
        {"figure": name}
        for name in list_parts("plots")
        if name not in requested and not _needs_options(name, where)
    ]
    for request in sorted([*defaults, *requests], key=_page_order):
        options = {key: value for key, value in request.items() if key != "figure"}
        function = load_part("plots", request["figure"], where)
        yield from call_part(function, evidence, options, where)


def _needs_options(name: str, where: str) -> bool:
    return any(list_options(load_part("plots", name, where)).values())


def _page_order(request: Mapping[str, Any]) -> tuple[int, str]:
    name = request["figure"]
    order = 0
    if name in list_parts("plots"):
        order = load_constant("plots", name, "ORDER", DEFAULT_ORDER)
    return order, name


def name_figures(
    evidence: Evidence, requests: Sequence[Mapping[str, Any]] = ()
) -> list[NamedFigure]:
    """Every figure of :func:`make_figures` with the name of its files, unique within the study."""
    named: list[NamedFigure] = []
    taken: set[str] = set()
    for description in make_figures(evidence, requests):
        name = re.sub(r"[^A-Za-z0-9]+", "-", f"{evidence.name}-{description.name}").strip("-")
        while name in taken:
            name += "-2"
        taken.add(name)
        named.append(NamedFigure(name, description))
    return named


def write_tables(figures: Sequence[NamedFigure], folder: Path) -> None:
    """Write what every figure shows into ``folder``, as ``<name>.csv``."""
    for figure in figures:
        (folder / f"{figure.name}.csv").write_text(figure.csv, encoding="utf-8")
