"""What a study's claims are judged from and its figures are drawn from.

:class:`Evidence` holds the tables of one study; the functions select what several predicates read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.style import LineStyle
from analysis.training_kinds import drop_confirming
from bfc.stats.estimates import Scale

EXTENT = (
    "baseline.n_max",
    "baseline.n_ratio",
    "baseline.tuning_draws",
    "baseline.tuning_eps",
    "measure.test",
    "measure.tune.draws",
    "measure.tune.eps",
    "measure.tune.lr",
    "measure.tune.n",
    "target.quadrature",
)
"""Configuration keys that say how far or how well a method is measured, and not what it is."""


class NotMeasured(Exception):
    """What a claim speaks of was not measured, or cannot be told apart; the message says what."""


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
    """Local growth between neighbouring d or L, columns :data:`analysis.nstar_tables.LOCAL`."""
    depth: pd.DataFrame = field(default_factory=pd.DataFrame)
    """n* where L varies, columns :data:`analysis.nstar_tables.DEPTH`."""
    traces: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Probes evaluated during training, one row per evaluation; empty where there were none.

    Columns ``cell_id, line, n, seed, step, stage`` and those of the probe.
    """
    features: Mapping[str, Evidence] = field(default_factory=dict)
    """Feature → the same tables with 1 − overlap in the place of the risk.

    See :mod:`analysis.feature_tables`; those have no features in turn."""
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

    Confirming runs are left out. Raises :class:`NotMeasured` where there are trainings of several
    configurations (:func:`select_one_configuration`).
    """
    rows = evidence.trainings_of(method)
    rows = rows[rows["d"] == rows["d"].max()]
    rows = rows[rows["n"] == rows["n"].max()]
    return select_one_configuration(rows, method).drop_duplicates("seed")


def select_one_configuration(
    rows: pd.DataFrame, method: str, by: Sequence[str] = ()
) -> pd.DataFrame:
    """The trainings of one cell per value of the columns ``by``, such as d.

    Trainings of several widths, rates or targets are no sample of one distribution, so where cells
    differ in these :class:`NotMeasured` is raised. Cells that differ only in how far or how well
    they were measured (:data:`EXTENT`), as the sizes of a study do, are one configuration: that
    with the largest n is taken, and of several that with the most trainings.
    """
    if rows.empty or "cell_id" not in rows:
        return rows
    groups = [group for _, group in rows.groupby(list(by))] if by else [rows]
    return pd.concat([_select_furthest(group, method, by) for group in groups])


def _select_furthest(rows: pd.DataFrame, method: str, by: Sequence[str]) -> pd.DataFrame:
    if rows["cell_id"].nunique() == 1:
        return rows
    if differences := _find_differences(rows):
        count = rows["cell_id"].nunique()
        place = "".join(f" at {name} = {rows[name].iloc[0]}" for name in by)
        raise NotMeasured(
            f"{count} configurations of {method}{place}, which differ in "
            f"{', '.join(differences)}; the claim selects none of them"
        )
    cells = rows.groupby("cell_id", sort=True).agg(size=("n", "max"), count=("seed", "size"))
    furthest = cells.sort_values(["size", "count"], kind="stable").index[-1]
    return rows[rows["cell_id"] == furthest]


def _find_differences(rows: pd.DataFrame) -> list[str]:
    """The configuration keys, and ``target``, ``d`` and ``L``, in which cells differ."""
    cells = rows.drop_duplicates("cell_id")
    names = [name for name in rows if name in ("target", "d", "L") or name.startswith("config.")]
    varying = [name for name in names if cells[name].nunique(dropna=False) > 1]
    keys = [name.removeprefix("config.") for name in varying]
    return [key for key in keys if key not in EXTENT]


def choose_scale(column: str) -> Scale:
    """The scale on which few values of a stored column are assumed to be normal.

    A risk is positive; a probe's column may be anything.
    """
    return "log" if column == "risk" else "either"


def select_values_by_seed(evidence: Evidence, method: str, column: str) -> pd.Series:
    """A column of :func:`select_largest`, by seed (:func:`read_by_seed`); empty without any."""
    return read_by_seed(select_largest(evidence, method), column)


def read_by_seed(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column of trainings, by seed.

    Where a training diverged, a missing risk is infinite, and any other value that is missing is
    NaN, of which nothing is known: leaving it out would judge by the seeds that went well. What was
    not measured of other trainings is left out.
    """
    if rows.empty or column not in rows:
        return pd.Series(dtype=float)
    if column == "risk":
        return rows.set_index("seed")[column].astype(float).fillna(np.inf)
    return drop_unmeasured(rows, [column]).set_index("seed")[column].astype(float)


def drop_unmeasured(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The trainings with a value in each of some columns, and those that diverged."""
    return rows[rows[list(columns)].notna().all(axis=1) | mark_diverged(rows)]


def mark_diverged(rows: pd.DataFrame) -> pd.Series:
    """Which trainings diverged."""
    if "diverged" not in rows:
        return pd.Series(False, index=rows.index)
    return rows["diverged"].fillna(False).astype(bool)
