"""What the page's scripts read: figures, tables as CSV, and trainings, compressed into the page.

The data are one JSON object, gzip-compressed and written in base64; the browser unpacks it
(``DecompressionStream``). So a page with eighty figures stays a few megabytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

import pandas as pd

from analysis.chart import Chart
from analysis.emphasis import emphasise_lines
from analysis.evidence import Evidence
from analysis.figures import NamedFigure
from analysis.style import COLOURS, DARK
from analysis.web.plotly_figure import make_legend, make_plotly_figures
from analysis.web.template import pack_text

TRAINING_COLUMNS = (
    "cell_id",
    "line",
    "target",
    "d",
    "L",
    "n",
    "seed",
    "kind",
    "risk",
    "outcome",
    "steps",
    "seconds",
)
"""Columns of the trainings behind a claim, as far as a store has them."""
MAX_TRAININGS = 100_000
"""Beyond this many trainings of a study the page names the file that holds them."""


def encode_data(
    figures: Sequence[NamedFigure],
    studies: Mapping[str, Evidence],
    shown: Sequence[str],
    files: Mapping[str, str],
) -> str:
    """The data in base64; ``shown``: the studies whose trainings stand behind some claim.

    ``files``: name → text of the tables that the page offers as files.
    """
    charts = {figure.name: encode_figure(figure) for figure in figures}
    trainings = {name: encode_trainings(studies[name].trainings) for name in shown}
    return pack_data(charts, trainings, files)


def pack_data(
    charts: Mapping[str, Any],
    trainings: Mapping[str, Any],
    files: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """What the scripts unpack: figures, trainings and files by name, and the colours on dark."""
    data = {
        "charts": charts,
        "trainings": trainings,
        "files": dict(files),
        "dark": dict(zip(COLOURS, DARK, strict=True)),
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return pack_text(text)


def encode_figure(figure: NamedFigure) -> dict[str, Any]:
    if not isinstance(figure.description, Chart):
        return {"csv": figure.csv}
    chart = emphasise_lines(figure.description)
    stacks = list(chart.columns)
    if chart.legend == "column":
        legends = [make_legend(stack) for stack in stacks]
    else:
        legends = [make_legend(list(chain.from_iterable(stacks)))]
    return {
        "csv": figure.csv,
        "figures": make_plotly_figures(chart),
        "legends": legends,
        "legendTitle": chart.legend_title,
        "notes": list(chart.notes),
    }


def encode_trainings(trainings: pd.DataFrame) -> dict[str, list[Any]] | None:
    """Column → values; None where there are too many."""
    if len(trainings) > MAX_TRAININGS:
        return None
    columns = [name for name in TRAINING_COLUMNS if name in trainings]
    return {name: [_to_value(value) for value in trainings[name]] for name in columns}


def _to_value(value: Any) -> str | float | int | None:
    """A JSON value in six digits; what is not finite is null."""
    if isinstance(value, str) or value is None:
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else float(f"{number:.6g}")
