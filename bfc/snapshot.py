"""What a tracker is handed: one run as plain tables, images and numbers, finished.

It is made from the store alone (:mod:`analysis.snapshots`), so the same store always gives the same
snapshot, whether the cell has just closed, was killed and resumed, or is uploaded a month later.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

STUDY = "study"
"""Job type and key of the run that shows a study as a whole."""
BOARD = "board"
"""The image of that run which shows the study's claims."""


@dataclass(frozen=True)
class Snapshot:
    """One run of a tracker."""

    key: str
    """Identifies the run: the cell's id, or :data:`STUDY`."""
    name: str
    """What people read."""
    project: str | None
    """The study; None for a job without one."""
    group: str | None
    """The size of the study."""
    job_type: str
    """The kind of the cell, or :data:`STUDY`."""
    tags: tuple[str, ...]
    config: dict[str, Any]
    state: str
    """``running``, ``done``, ``failed`` or ``stopped``."""
    history: list[dict[str, float]] = field(default_factory=list)
    """A record per stored row, in the order of storing, so that rounds and resumes only append.

    Record i (from 1) is step i; its ``trainings`` counts the trainings done by then."""
    summary: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)
    """Name → PNG."""
    texts: dict[str, str] = field(default_factory=dict)
    """File name → content: configuration, environment, tuning and uncommitted changes."""
    commit: str | None = None


def to_json_rows(table: pd.DataFrame) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows as JSON values: whole numbers, finite floats, texts and None."""
    columns = [str(name) for name in table]
    rows = table.itertuples(index=False, name=None)
    return columns, [[_to_json(value) for value in row] for row in rows]


def _to_json(value: Any) -> Any:
    """One entry of a table as a JSON value; infinities become texts, NaN becomes None."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return None if value != value else str(value)


def metric_level(eps: float) -> str:
    """An eps in the names of metrics, where W&B reads a point as nesting: 0.05 → ``eps_0_05``."""
    return f"eps_{eps:.12f}".rstrip("0").rstrip(".").replace(".", "_")


def project_name(text: str) -> str:
    """A project name that every tracker takes."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:128] or "bfc"
