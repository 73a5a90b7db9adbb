"""Lines: the cells of one method that one swept size tells apart, d or L.

Along d a line has one depth, and along L one dimension, except on targets whose dimension follows
their depth (d = s^L): their cells make a line along d and one along L, with the same n*.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from bfc.stats.swept_axis import AXES, DEPTH, DIMENSION

VARIES = "varies"
"""What stands for a value that changes along a line."""


class SweptLine(NamedTuple):
    """A line at one eps."""

    study: str
    target: str
    axis: str
    """The column that is swept: d or L."""
    d: Any
    """The dimension, or :data:`VARIES`."""
    L: Any
    """The depth, or :data:`VARIES`."""
    eps: float
    line: str


LINE_KEY = SweptLine._fields
"""The columns that tell lines apart."""


def split_lines(nstar: pd.DataFrame) -> Iterator[tuple[SweptLine, pd.DataFrame]]:
    """Every line along d, then every line along L, each with its rows of n* in order.

    Only of studies that measured the target at more than one size; a line of one cell among longer
    ones is a line.
    """
    if nstar.empty:
        return
    follows = find_following_depth(nstar)
    for axis in AXES:
        fixed = DEPTH.name if axis == DIMENSION.name else DIMENSION.name
        places = nstar.assign(d=nstar["d"].astype(object), L=nstar["L"].astype(object))
        places[axis] = VARIES
        places.loc[follows, fixed] = VARIES
        is_swept = _count_sizes(nstar, axis, places[fixed]) > 1
        keys = places.assign(axis=axis)[list(LINE_KEY)]
        for key, rows in keys[is_swept].groupby(list(LINE_KEY), sort=False):
            yield SweptLine(*key), nstar.loc[rows.index].sort_values(axis)


def find_following_depth(nstar: pd.DataFrame) -> pd.Series:
    """Whether the row is of a line on which every L has a d of its own, and there are several."""
    columns = ["study", "target", "eps", "line"]
    cells = nstar.groupby(columns, sort=False)
    depths, dimensions = (cells[name].transform("nunique") for name in ("L", "d"))
    pairs = cells["L"].transform("size")
    return (depths > 1) & (depths == dimensions) & (depths == pairs)


def _count_sizes(nstar: pd.DataFrame, axis: str, fixed: pd.Series) -> pd.Series:
    """How many sizes along an axis the study measured of the target at the fixed other one."""
    places = nstar.assign(fixed=fixed).groupby(["study", "target", "fixed"], sort=False)
    return places[axis].transform("nunique")


def select_axis(table: pd.DataFrame, axis: str) -> pd.DataFrame:
    """The rows of a table of lines that are along one axis; all of a table without axes."""
    return table[table["axis"] == axis] if "axis" in table else table
