"""What a study's claims are judged from and its figures are drawn from.

:class:`Evidence` holds the tables of one study; the functions select what several predicates read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.style import LineStyle
from analysis.training_kinds import drop_confirming
from bfc.stats.estimates import Scale


@dataclass(frozen=True)
class Evidence:
    """The tables of one study."""

    nstar: pd.DataFrame
    """n* of every cell, columns :data:`analysis.nstar_tables.NSTAR`."""
    exponents: pd.DataFrame
    """Of every line against d, columns :data:`analysis.nstar_tables.EXPONENTS`."""
    trainings: pd.DataFrame
    """Every stored column of every training, confirming runs included.

    Besides: the flattened configuration as ``config.<key>``, and ``method, line, target, d, L,
    degree, cell_id``.
    """
    local: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Local exponents between neighbouring d, columns :data:`analysis.nstar_tables.LOCAL`."""
    depth: pd.DataFrame = field(default_factory=pd.DataFrame)
    """n* where L varies, columns :data:`analysis.nstar_tables.DEPTH`."""
    traces: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Probes evaluated during training, one row per evaluation; empty where there were none.

    Columns ``cell_id, line, n, seed, step, stage`` and those of the probe.
    """
    styles: Mapping[str, LineStyle] = field(default_factory=dict)
    """Line or method → how it is drawn."""
    name: str = ""
    """The name of the study."""

    def trainings_of(self, method: str) -> pd.DataFrame:
        """The trainings of a method, without confirming runs."""
        rows = drop_confirming(self.trainings)
        return rows if rows.empty else rows[rows["method"] == method]


def select_cells(evidence: Evidence, method: str, eps: float) -> pd.DataFrame:
    """The rows of ``nstar`` of one method at one eps."""
    table = evidence.nstar
    return table[(table["method"] == method) & np.isclose(table["eps"], eps)]


def select_largest(evidence: Evidence, method: str) -> pd.DataFrame:
    """The trainings of a method at its largest d and there at the largest n, one per seed.

    Confirming runs are left out.
    """
    rows = evidence.trainings_of(method)
    rows = rows[rows["d"] == rows["d"].max()]
    return rows[rows["n"] == rows["n"].max()].drop_duplicates("seed")


def choose_scale(column: str) -> Scale:
    """The scale on which few values of a stored column are assumed to be normal.

    A risk is positive; a probe's column may be anything.
    """
    return "log" if column == "risk" else "either"


def select_values_by_seed(evidence: Evidence, method: str, column: str) -> pd.Series:
    """A column of :func:`select_largest`, by seed; empty where there is none.

    A missing risk is that of a training that diverged, and infinite.
    """
    rows = select_largest(evidence, method)
    if rows.empty or column not in rows:
        return pd.Series(dtype=float)
    values = rows.set_index("seed")[column].astype(float)
    return values.fillna(np.inf) if column == "risk" else values
