"""Which figures a study gets: every figure of :mod:`analysis.plots` that needs no options, and
those its file asks for. A figure is drawn where its tables can fill it, and named by what it shows,
so that the same store always gives the same files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis import registry as discover
from analysis.chart import Chart, Exhibit
from analysis.evidence import Evidence
from analysis.progress_message import track
from bfc.errors import UserError


@dataclass(frozen=True)
class Drawn:
    """One exhibit on disk: ``name`` without ending, what it shows, and its files (the CSV of its
    data is the last)."""

    name: str
    exhibit: Exhibit
    files: list[Path] = field(default_factory=list)


def exhibits(evidence: Evidence, asked: Sequence[Mapping[str, Any]] = ()) -> Iterator[Exhibit]:
    """Every figure of one study that its tables can fill; ``asked``: ``study.figures`` of its file,
    mappings of ``figure`` and its options. Raises :class:`UserError` for an unknown figure or
    option."""
    where = f"{evidence.name}: study.figures:"
    if any(
        not isinstance(request, Mapping) or not isinstance(request.get("figure"), str)
        for request in asked
    ):
        raise UserError(f"{where} must be a list of mappings, each with a key figure")
    named = {request["figure"] for request in asked}
    plain = [name for name in discover.names("plots") if name not in named]
    free = [
        name
        for name in plain
        if not any(discover.options(discover.part("plots", name, where)).values())
    ]
    for request in sorted([*({"figure": name} for name in free), *asked], key=_order):
        options = {key: value for key, value in request.items() if key != "figure"}
        yield from discover.call(
            discover.part("plots", request["figure"], where), evidence, options, where
        )


def _order(request: Mapping[str, Any]) -> tuple[int, str]:
    known = request["figure"] in discover.names("plots")
    return (
        discover.constant("plots", request["figure"], "ORDER", 50) if known else 0,
        request["figure"],
    )


def draw_study(evidence: Evidence, asked: Sequence[Mapping[str, Any]], folder: Path) -> list[Drawn]:
    """Write every figure of one study into ``folder``: PNG, SVG, PDF and CSV; a table as CSV alone."""
    from analysis.paper import save

    drawn: list[Drawn] = []
    for exhibit in track(list(exhibits(evidence, asked)), f"drawing {evidence.name}"):
        name = re.sub(r"[^A-Za-z0-9]+", "-", f"{evidence.name}-{exhibit.name}").strip("-")
        while (folder / f"{name}.csv").exists():
            name += "-2"
        if isinstance(exhibit, Chart):
            files = save(exhibit, folder / name)
        else:
            files = [folder / f"{name}.csv"]
            exhibit.data.to_csv(files[0], index=False)
        drawn.append(Drawn(name, exhibit, files))
    return drawn
