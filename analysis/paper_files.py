"""Figures in the formats of papers, drawn over all cores and only where their data changed.

A file ``drawn.json`` beside them holds a hash of what each figure was drawn from, so that a second
report of a grown store draws only what is new. Changing the style or matplotlib draws all anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from analysis.chart import Chart
from analysis.figures import NamedFigure
from analysis.progress_message import track
from analysis.web.plotly_figure import make_plotly_figures
from bfc.errors import UserError, nearest
from bfc.launch.devices import usable_cores

FORMATS = ("png", "svg", "pdf")
RECORD = "drawn.json"
FEWEST_PER_PROCESS = 6
"""Figures for which starting another process pays."""


@dataclass(frozen=True)
class _Drawing:
    """One figure to draw: its chart and the files to write."""

    chart: Chart
    stem: Path
    formats: tuple[str, ...]
    width: float | None


def check_formats(formats: Iterable[str]) -> tuple[str, ...]:
    """The formats, each once; raises :class:`UserError` for an unknown one."""
    chosen = tuple(dict.fromkeys(formats))
    for name in chosen:
        if name not in FORMATS:
            raise UserError(f"format {name}: no such format; {nearest(name, FORMATS)}")
    return chosen


def draw_files(
    figures: Sequence[NamedFigure],
    folder: Path,
    formats: Sequence[str],
    earlier: Path | None = None,
    width: float | None = None,
) -> list[Path]:
    """Write every chart into ``folder`` as ``<name>.<format>``; returns the paths.

    ``earlier``: a folder of an earlier call, from which files are taken that would be the same.
    ``width``: in inches, as in :func:`analysis.paper.draw`.
    """
    charts = {
        figure.name: figure.description
        for figure in figures
        if isinstance(figure.description, Chart)
    }
    hashes = {name: _hash_chart(chart, width) for name, chart in charts.items()}
    drawn = _read_record(earlier)
    drawings = []
    for name, chart in charts.items():
        missing = tuple(formats)
        if earlier is not None and drawn.get(name) == hashes[name]:
            missing = _take_earlier(name, formats, earlier, folder)
        if missing:
            drawings.append(_Drawing(chart, folder / name, missing, width))
    _draw_all(drawings)
    (folder / RECORD).write_text(json.dumps(hashes, indent=1))
    files = product(charts, formats)
    return [folder / f"{name}.{ending}" for name, ending in files]


def _hash_chart(chart: Chart, width: float | None) -> str:
    """Equal for charts that look the same on paper."""
    import matplotlib

    from analysis.paper import STYLE

    layout = (chart.heights, chart.legend, chart.legend_title, chart.max_columns, chart.notes)
    parts = [
        matplotlib.__version__,
        Path(STYLE).read_text(encoding="utf-8"),
        repr((width, chart.same_y, *layout)),
        json.dumps(make_plotly_figures(chart), sort_keys=True),
        chart.to_table().to_csv(index=False),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _read_record(folder: Path | None) -> Mapping[str, Any]:
    """The hashes of an earlier call; none where they cannot be read."""
    if folder is None:
        return {}
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _take_earlier(
    name: str, formats: Sequence[str], earlier: Path, folder: Path
) -> tuple[str, ...]:
    """Copy the files that are there; returns the formats that are not."""
    missing = []
    for ending in formats:
        path = earlier / f"{name}.{ending}"
        if path.is_file():
            shutil.copy2(path, folder / path.name)
        else:
            missing.append(ending)
    return tuple(missing)


def _draw_all(drawings: Sequence[_Drawing]) -> None:
    """Draw in this process, or in several where there is enough to draw."""
    processes = min(usable_cores(), len(drawings) // FEWEST_PER_PROCESS)
    if processes < 2:
        for drawing in track(drawings, "drawing figures"):
            _draw(drawing)
        return
    with ProcessPoolExecutor(processes) as pool:
        pending = [pool.submit(_draw, drawing) for drawing in drawings]
        for future in track(pending, "drawing figures"):
            future.result()


def _draw(drawing: _Drawing) -> None:
    from analysis.paper import save

    save(drawing.chart, drawing.stem, drawing.formats, drawing.width)
