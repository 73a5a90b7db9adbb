"""What a tracker is handed: one run as plain tables, images and numbers, finished.

It is made from the store alone (:mod:`analysis.snapshots`), so the same store always gives the same
snapshot, whether the cell has just closed, was killed and resumed, or is uploaded a month later.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

STUDY = "study"
"""Job type and key of the run that shows a study as a whole."""


@dataclass(frozen=True)
class Snapshot:
    """One run of a tracker. ``history``: a record per stored row, in the order of storing, so that
    rounds and resumes only append; record i (from 1) is step i, and its ``trainings`` counts the
    trainings done by then."""

    key: str
    name: str
    project: str | None
    group: str | None
    job_type: str
    tags: tuple[str, ...]
    config: dict[str, Any]
    state: str
    """``running``, ``done``, ``failed`` or ``stopped``."""
    history: list[dict[str, float]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)
    """Name → PNG."""
    texts: dict[str, str] = field(default_factory=dict)
    """File name → content: configuration, environment and the uncommitted changes the numbers were
    made with."""
    commit: str | None = None


def plain(table: pd.DataFrame) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows as JSON values: whole numbers, finite floats, texts and None."""

    def value(v: Any) -> Any:
        v = v.item() if hasattr(v, "item") else v
        if v is None or isinstance(v, (bool, int, str)):
            return v
        return v if isinstance(v, float) and math.isfinite(v) else None if v != v else str(v)

    return [str(name) for name in table], [
        [value(v) for v in row] for row in table.itertuples(index=False, name=None)
    ]


def level(eps: float) -> str:
    """An eps in the names of metrics, where W&B reads a point as nesting: 0.05 → ``eps_0_05``."""
    return f"eps_{eps:.12f}".rstrip("0").rstrip(".").replace(".", "_")


def project_name(text: str) -> str:
    """A project name that every tracker takes."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:128] or "bfc"
