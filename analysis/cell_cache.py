"""Cells as they were read, so that one whose files are as they were is not read again.

A page is made many times of a store that grows. What the files of a cell hold is kept beside the
estimates (:mod:`analysis.estimate_cache`), in the same way: as JSON, found by all that it follows
from. That is the identity, size and times of every file and the source code that reads them. A file
that was replaced, grown or touched has others, and so is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.estimate_cache import CachedEstimator, Task, compute_cached
from bfc.store.cell_folder import FILES, CellFiles, read_files
from bfc.store.cell_rows import Unreadable

FEWEST_PER_PROCESS = 16
"""Cells for which starting another process pays."""
SIGNATURE = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
"""What changes with the content of a file, which programs replace and never change in place."""


def read_cells(folders: Sequence[Path], processes: int = 1) -> list[CellFiles | None]:
    """The files of every folder, in order; None of one that cannot be read or kept as JSON.

    ``processes``: those that read what is not on disk.
    """
    tasks = [Task(_describe_files(folder), (folder,)) for folder in folders]
    estimator = CachedEstimator(read_plain_cell, ("bfc.store",), FEWEST_PER_PROCESS)
    cells = compute_cached(estimator, tasks, "reading cells", processes)
    return [None if cell is None else CellFiles(**cell) for cell in cells]


def read_plain_cell(folder: Path) -> dict[str, Any] | None:
    """The fields of :class:`CellFiles`; None of a cell that cannot be read.

    Also of one whose configuration holds what JSON does not, such as a date.
    """
    try:
        files = read_files(folder)
        is_plain = json.loads(json.dumps(files.config)) == files.config
    except (Unreadable, OSError, TypeError, ValueError, RecursionError):
        return None
    return dict(vars(files)) if is_plain else None


def _describe_files(folder: Path) -> str:
    """The identity, size and times of every file of a folder as a text."""
    parts = []
    for name in FILES:
        try:
            status = os.stat(folder / name)
        except OSError:
            parts.append((name,))
        else:
            parts.append((name, *(getattr(status, key) for key in SIGNATURE)))
    return repr(parts)
