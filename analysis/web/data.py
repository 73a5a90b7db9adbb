"""What the page's scripts read: figures, tables as CSV, and trainings, compressed into the page.

The data are one JSON object, gzip-compressed and written in base64; the browser unpacks it
(``DecompressionStream``). So a page with eighty figures stays a few megabytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any

import pandas as pd

from analysis.chart import Chart
from analysis.emphasis import emphasise_lines
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


def pack_data(
    charts: Mapping[str, str],
    trainings: Mapping[str, str],
    files: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """What the scripts unpack: figures, trainings and files by name, and the colours on dark.

    ``charts`` and ``trainings``: name → JSON (:func:`write_json`) of :func:`encode_figure` and of
    :func:`encode_trainings`. ``files``: name → text of the tables that the page offers as files.
    """
    parts = {
        "charts": _join_json(charts),
        "trainings": _join_json(trainings),
        "files": write_json(dict(files)),
        "dark": write_json(dict(zip(COLOURS, DARK, strict=True))),
    }
    return pack_text(_join_json(parts))


def write_json(value: Any) -> str:
    """A value as JSON without spaces; raises ``ValueError`` for a number that is not finite."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _join_json(values: Mapping[str, str]) -> str:
    """The object whose values are written already."""
    return "{" + ",".join(f"{write_json(name)}:{text}" for name, text in values.items()) + "}"


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
