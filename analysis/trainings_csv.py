"""Writes the table of trainings as CSV, cell by cell.

A store of many studies has hundreds of columns, of which a cell has a few; so only these are turned
into text. The file is the one that :meth:`pandas.DataFrame.to_csv` writes.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np

from bfc.store.reading import Collected


def write_trainings(stored: Collected, path: Path) -> None:
    """Write every training of a store, with a header; raises ``OSError``."""
    table = stored.trainings
    names = list(table)
    arrays = {name: table[name].to_numpy() for name in names}
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator=os.linesep)
        writer.writerow(names)
        for start, stop in _list_runs(arrays["cell_id"]):
            present = stored.columns.get(arrays["cell_id"][start], frozenset(names))
            blank = [""] * (stop - start)
            columns = [
                _format_values(arrays[name][start:stop]) if name in present else blank
                for name in names
            ]
            writer.writerows(zip(*columns, strict=True))


def _list_runs(ids: np.ndarray) -> list[tuple[int, int]]:
    """First row and end of every run of rows of one cell."""
    starts = [0, *(np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist()]
    return list(zip(starts, [*starts[1:], len(ids)], strict=True))


def _format_values(values: np.ndarray) -> list[Any]:
    """The values as :mod:`csv` writes them, a missing one as nothing."""
    return ["" if value is None or value != value else value for value in values.tolist()]
